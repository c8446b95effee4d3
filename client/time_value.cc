#include "client/time_value.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/time_util.h>

#include "base/command_line.h"

namespace cogwheel {
namespace {

constexpr int64_t kHour = 3600, kDay = 24 * kHour, kMostBack = 100 * 366 * kDay;
constexpr size_t kDateLength = sizeof("2026-11-29") - 1;

// Of "30d" or "12h"; 0: it is neither.
int64_t SecondsBack(const std::string& text) {
  const int64_t unit = text.ends_with('d') ? kDay : text.ends_with('h') ? kHour : 0;
  int64_t count = 0;
  if (unit == 0 || !absl::SimpleAtoi(text.substr(0, text.size() - 1), &count)) return 0;
  return count > 0 && count <= kMostBack / unit ? count * unit : 0;
}

}  // namespace

absl::StatusOr<google::protobuf::Timestamp> ParseTime(std::string_view field,
                                                      const std::string& text,
                                                      int64_t now_seconds) {
  google::protobuf::Timestamp time;
  const int64_t back = SecondsBack(text);
  if (back > 0) {
    time.set_seconds(now_seconds - back);
    return time;
  }
  const std::string whole = text.size() == kDateLength ? text + "T00:00:00Z" : text;
  if (google::protobuf::util::TimeUtil::FromString(whole, &time)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(field), " '", ShownArgument(text),
                   "' is not legal; legal is a time such as 2026-11-29T14:00:00Z, a date such as "
                   "2026-11-29, or 30d or 12h for so long ago"));
}

}  // namespace cogwheel
