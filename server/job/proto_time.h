#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

namespace cogwheel {

inline constexpr int64_t kNanosPerSecond = 1'000'000'000;

inline google::protobuf::Timestamp ToTimestamp(std::chrono::system_clock::time_point time) {
  const int64_t nanos =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(nanos / kNanosPerSecond);
  timestamp.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  return timestamp;
}

// Timestamps reach to the year 9999, 64 bits of nanoseconds to 2262: the nearest that fits.
inline std::chrono::system_clock::time_point ToWallTime(
    const google::protobuf::Timestamp& timestamp) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / kNanosPerSecond;
  const int64_t seconds = std::clamp(timestamp.seconds(), -kMost, kMost - 1);
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(seconds) + std::chrono::nanoseconds(timestamp.nanos())));
}

inline google::protobuf::Duration ToDuration(double seconds) {
  google::protobuf::Duration duration;
  if (!std::isfinite(seconds)) return duration;
  const auto nanos = static_cast<int64_t>(std::llround(seconds * kNanosPerSecond));
  duration.set_seconds(nanos / kNanosPerSecond);
  duration.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  return duration;
}

// Of a legal deadline: at most 7 days.
inline std::chrono::nanoseconds ToNanoseconds(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos());
}

}  // namespace cogwheel
