#pragma once

#include <filesystem>
#include <string>

#include <absl/status/statusor.h>

namespace cogwheel {

// Where this program's own file lies.
std::filesystem::path ProgramFolder();

// `models` (the value of COGWHEEL_MODELS) decides if it is set; else the build tree's and then the
// installed place, seen from `program_folder`. FAILED_PRECONDITION names where it was looked for.
absl::StatusOr<std::filesystem::path> FindShippedModel(const std::filesystem::path& program_folder,
                                                       const std::string& models);

}  // namespace cogwheel
