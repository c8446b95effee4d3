#include "base/log_format.h"

#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "base/command_line.h"
#include "base/log.h"

namespace cogwheel {
namespace {

constexpr std::pair<std::string_view, LogFormat> kFormats[] = {
    {"auto", LogFormat::kAuto}, {"json", LogFormat::kJson}, {"text", LogFormat::kText}};

}  // namespace

absl::Status UseLogFormat(std::string_view word) {
  if (word.empty()) word = "auto";
  std::vector<std::string> names;
  for (const auto& [name, format] : kFormats) {
    if (word == name) {
      SetLogFormat(format);
      return absl::OkStatus();
    }
    names.emplace_back(name);
  }
  const std::string nearest(NearestWord(word, names));
  return absl::InvalidArgumentError(absl::StrCat(
      "--log-format '", ShownArgument(word), "' is not legal; legal is auto, json or text",
      nearest.empty() ? "" : "; the nearest legal value is " + nearest));
}

}  // namespace cogwheel
