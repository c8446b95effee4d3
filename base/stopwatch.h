#pragma once

#include <chrono>
#include <utility>

namespace cogwheel {

// Not thread-safe.
class Stopwatch {
 public:
  // Seconds since the last call, or since the start.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace cogwheel
