#pragma once

#include <chrono>

namespace cogwheel {

// Time as a seam: tests own a fake one. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::steady_clock::time_point Now() const = 0;   // for durations and deadlines
  virtual std::chrono::system_clock::time_point Wall() const = 0;  // for timestamps people read
};

class SystemClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() const override {
    return std::chrono::steady_clock::now();
  }
  std::chrono::system_clock::time_point Wall() const override {
    return std::chrono::system_clock::now();
  }
};

}  // namespace cogwheel
