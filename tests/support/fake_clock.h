#pragma once

#include <chrono>

#include "base/clock.h"
#include "base/mutex.h"

namespace cogwheel {

// Time that a test moves. Thread-safe.
class FakeClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() const override {
    MutexLock lock(mutex_);
    return std::chrono::steady_clock::time_point(std::chrono::hours(1)) + passed_;
  }
  std::chrono::system_clock::time_point Wall() const override {
    MutexLock lock(mutex_);
    return std::chrono::system_clock::time_point(std::chrono::hours(24 * 365 * 50)) + passed_;
  }
  void Advance(std::chrono::milliseconds time) {
    MutexLock lock(mutex_);
    passed_ += time;
  }

 private:
  mutable Mutex mutex_;
  std::chrono::milliseconds passed_ COGWHEEL_GUARDED_BY(mutex_){0};
};

}  // namespace cogwheel
