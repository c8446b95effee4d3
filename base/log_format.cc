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

constexpr std::pair<std::string_view, LogLevel> kLevels[] = {
    {"info", LogLevel::kInfo}, {"warning", LogLevel::kWarning}, {"error", LogLevel::kError}};

// What `word` stands for among `values`, whose names `legal` lists.
template <typename Value, size_t kCount>
absl::StatusOr<Value> ValueOf(std::string_view what, std::string_view word,
                              const std::pair<std::string_view, Value> (&values)[kCount],
                              std::string_view legal) {
  std::vector<std::string> names;
  for (const auto& [name, value] : values) {
    if (word == name) return value;
    names.emplace_back(name);
  }
  const std::string nearest(NearestWord(word, names));
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(what), " '", ShownArgument(word), "' is not legal; legal is ", std::string(legal),
      nearest.empty() ? "" : "; the nearest legal value is " + nearest));
}

}  // namespace

absl::Status UseLogFormat(std::string_view word) {
  const auto format =
      ValueOf("--log-format", word.empty() ? "auto" : word, kFormats, "auto, json or text");
  if (format.ok()) SetLogFormat(*format);
  return format.status();
}

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view what, std::string_view word) {
  return ValueOf(what, word, kLevels, "info, warning or error");
}

}  // namespace cogwheel
