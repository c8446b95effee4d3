#include "client/shipped_model.h"

#include <vector>

#include <absl/strings/str_cat.h>

namespace cogwheel {

namespace fs = std::filesystem;

fs::path ProgramFolder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

absl::StatusOr<fs::path> FindShippedModel(const fs::path& program_folder,
                                          const std::string& models) {
  std::vector<fs::path> places = {program_folder / "../../../models/shapes",
                                  program_folder / "../share/cogwheel/models/shapes"};
  if (!models.empty()) places = {fs::path(models) / "shapes"};
  std::string tried;
  std::error_code error;
  for (const fs::path& place : places) {
    if (fs::exists(place / "model_index.json", error)) return fs::weakly_canonical(place, error);
    absl::StrAppend(&tried, tried.empty() ? "" : " and ", place.lexically_normal().string());
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the shipped model is not in ", tried, "; name a checkpoint with --model"));
}

}  // namespace cogwheel
