#include "client/local_time.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <absl/strings/str_cat.h>

namespace cogwheel {
namespace {

constexpr int64_t kMinute = 60, kHour = 3600, kDay = 24 * kHour;

std::tm Local(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local{};
  localtime_r(&time, &local);
  return local;
}

std::string Format(const std::tm& time, const char* format) {
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &time)};
}

}  // namespace

std::string Age(const google::protobuf::Timestamp& then, int64_t now_seconds) {
  // The clocks of two machines may differ by a moment.
  const int64_t age = std::max<int64_t>(0, now_seconds - then.seconds());
  if (age < 5) return "just now";
  if (age < kMinute) return absl::StrCat(age, " s ago");
  if (age < kHour) return absl::StrCat(age / kMinute, " min ago");
  if (age < kDay) return absl::StrCat(age / kHour, " h ago");
  return absl::StrCat(age / kDay, age < 2 * kDay ? " day ago" : " days ago");
}

std::string When(const google::protobuf::Timestamp& then, int64_t now_seconds) {
  if (now_seconds - then.seconds() < kHour) return Age(then, now_seconds);
  const std::tm time = Local(then.seconds()), now = Local(now_seconds);
  const bool today = time.tm_year == now.tm_year && time.tm_yday == now.tm_yday;
  return Format(time, today ? "today %H:%M" : "%Y-%m-%d %H:%M");
}

std::string FullTime(const google::protobuf::Timestamp& time) {
  return Format(Local(time.seconds()), "%Y-%m-%d %H:%M:%S %z");
}

}  // namespace cogwheel
