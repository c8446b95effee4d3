#include "base/log_format.h"

#include <algorithm>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/log.h"

namespace cogwheel {
namespace {

constexpr std::pair<std::string_view, LogFormat> kFormats[] = {
    {"auto", LogFormat::kAuto}, {"json", LogFormat::kJson}, {"text", LogFormat::kText}};

size_t SharedPrefix(std::string_view a, std::string_view b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

}  // namespace

absl::Status UseLogFormat(std::string_view word) {
  if (word.empty()) word = "auto";
  std::string_view nearest = "auto";
  for (const auto& [name, format] : kFormats) {
    if (word == name) {
      SetLogFormat(format);
      return absl::OkStatus();
    }
    if (SharedPrefix(word, name) > SharedPrefix(word, nearest)) nearest = name;
  }
  return absl::InvalidArgumentError(absl::StrCat("--log-format '", std::string(word),
                                                 "' is not legal; legal is auto, json or text; "
                                                 "the nearest legal value is ",
                                                 std::string(nearest)));
}

}  // namespace cogwheel
