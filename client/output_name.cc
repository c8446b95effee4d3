#include "client/output_name.h"

#include <filesystem>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

namespace cogwheel {
namespace {

std::string SuffixOf(Container container) {
  return container == Container::kMp4 ? ".mp4" : ".safetensors";
}

}  // namespace

Container ContainerOf(std::string_view media_type) {
  return media_type == "video/mp4" ? Container::kMp4 : Container::kSafetensors;
}

std::string DefaultOutput(Container container) { return "video" + SuffixOf(container); }

absl::Status CheckSuffix(const std::string& output, Container container) {
  if (output == kStandardOutput) return absl::OkStatus();
  std::filesystem::path path(output);
  const std::string found = path.extension().string(), legal = SuffixOf(container);
  if (found.empty() || found == "." || absl::AsciiStrToLower(found) == legal) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "output ", output, ": the suffix ", found, " is not that of the result; legal is ", legal,
      " or none, for example ", path.replace_extension(legal).string()));
}

}  // namespace cogwheel
