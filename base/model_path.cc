#include "base/model_path.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>

#include "base/hub_cache.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostNamed = 5;  // models of a cache that a refusal lists

// One line, whatever the names of files in it have.
std::string About(const std::string& given, const std::string& what) {
  std::string line = absl::StrCat("model ", given, ": ", what);
  std::ranges::replace_if(line, absl::ascii_iscntrl, '?');
  return line;
}

absl::Status Refuse(const std::string& given, const std::string& what) {
  return absl::InvalidArgumentError(About(given, what));
}

absl::Status RefuseFile(const std::string& given) {
  const fs::path path(given);
  if (path.filename() == "model_index.json") {
    return Refuse(given, "is a file of a checkpoint; give its folder, " +
                             (path.has_parent_path() ? path.parent_path().string() : "."));
  }
  const std::string format = ForeignFormat(given);
  if (!format.empty()) return Refuse(given, absl::StrCat("is ", format));
  if (path.extension() == ".safetensors") {
    return Refuse(given,
                  "is a single-file checkpoint; load it with diffusers' from_single_file and save "
                  "it as a folder with save_pretrained");
  }
  return Refuse(given, "is a file; legal is a diffusers checkpoint folder");
}

// A path that is wrong stays so; a disk or file server that fails may be well a moment later.
absl::Status CannotOpen(const std::string& given, const std::error_code& error) {
  const std::string what = absl::StrCat("cannot be opened: ", error.message());
  for (const std::errc wrong :
       {std::errc::permission_denied, std::errc::operation_not_permitted,
        std::errc::too_many_symbolic_link_levels, std::errc::filename_too_long}) {
    if (error == wrong) return Refuse(given, what);
  }
  return absl::UnavailableError(About(given, what));
}

std::string Contents(const fs::path& cache) {
  std::error_code error;
  if (!fs::is_directory(cache, error)) return "which does not exist";
  std::vector<std::string> names = RepositoriesIn(cache);
  if (names.empty()) return "which holds no models";
  const size_t more = names.size() - std::min(names.size(), kMostNamed);
  names.resize(names.size() - more);
  return absl::StrCat("which holds ", absl::StrJoin(names, ", "),
                      more == 0 ? "" : absl::StrCat(" and ", more, " more"));
}

absl::StatusOr<std::string> FindInHub(const std::string& given, const GetVariable& environment) {
  const fs::path cache = HubCacheFolder(environment);
  const fs::path repository =
      cache / absl::StrCat("models--", absl::StrReplaceAll(given, {{"/", "--"}}));
  std::error_code error;
  if (!fs::is_directory(repository, error)) {
    return Refuse(given, absl::StrCat("no such folder, and no such model in the hub's cache ",
                                      cache.string(), ", ", Contents(cache)));
  }
  const absl::StatusOr<fs::path> snapshot = NewestSnapshot(repository);
  if (snapshot.ok()) return snapshot->string();
  return Refuse(given, absl::StrCat("no such folder, and ", snapshot.status().message(),
                                    " in the hub's cache; download it again"));
}

}  // namespace

absl::StatusOr<std::string> FindModel(const std::string& given, const GetVariable& environment) {
  std::error_code error;
  const fs::file_status status = fs::status(given, error);
  if (fs::is_directory(status)) {
    if (!IsRepositoryFolder(given)) return given;
    const absl::StatusOr<fs::path> snapshot = NewestSnapshot(given);
    return snapshot.ok() ? absl::StatusOr<std::string>(snapshot->string()) : given;
  }
  if (fs::exists(status)) return RefuseFile(given);
  if (status.type() != fs::file_type::not_found) return CannotOpen(given, error);
  if (const fs::path target = fs::read_symlink(given, error); !error) {
    return Refuse(given, absl::StrCat("is a link to ", target.string(), ", which does not exist"));
  }
  if (IsRepositoryName(given)) return FindInHub(given, environment);
  return Refuse(given,
                "no such folder; legal is a diffusers checkpoint folder, or org/name of a model in "
                "the hub's cache");
}

std::string ModelFolderName(const std::string& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // it ended with a slash
  const fs::path snapshots = whole.parent_path();
  const std::string repository = snapshots.parent_path().filename().string();
  constexpr char kPrefix[] = "models--";
  if (snapshots.filename() != "snapshots" || !repository.starts_with(kPrefix)) {
    return whole.filename().string();
  }
  const std::string name = repository.substr(std::size(kPrefix) - 1);
  const size_t dashes = name.find("--");
  return dashes == std::string::npos ? name : name.substr(dashes + 2);
}

std::string ForeignFormat(const std::string& file_name) {
  struct Row {
    const char *ending, *what;
  };
  constexpr const char* kPickle =
      "PyTorch's pickle format, which can run code when it is opened; load it in Python and save "
      "it "
      "as safetensors with save_pretrained";
  constexpr const char* kOther =
      "of another framework; load it in Python and save it as safetensors with save_pretrained";
  static constexpr Row kRows[] = {
      {".bin", kPickle},
      {".pt", kPickle},
      {".pth", kPickle},
      {".ckpt", kPickle},
      {".pkl", kPickle},
      {".bin.index.json", kPickle},
      {".msgpack", kOther},
      {".h5", kOther},
      {".onnx", kOther},
      {".tflite", kOther},
      {".mlpackage", kOther},
      {".flashpack", kOther},
      {".gguf",
       "GGUF, which holds quantised weights; use the model's safetensors files, or load it in "
       "Python, dequantise it and save it with save_pretrained"}};
  for (const Row& row : kRows) {
    if (file_name.ends_with(row.ending)) return row.what;
  }
  return "";
}

}  // namespace cogwheel
