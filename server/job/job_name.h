#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/mutex.h"

namespace cogwheel {

// Makes job names: jobs/<ULID>, 48 bits of milliseconds, then 80 random bits. Names rise strictly,
// also within a millisecond and when the wall clock steps back. Thread-safe.
class JobNamer {
 public:
  std::string Next(std::chrono::system_clock::time_point now) COGWHEEL_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  int64_t milliseconds_ COGWHEEL_GUARDED_BY(mutex_) = -1;
  uint64_t random_high_ COGWHEEL_GUARDED_BY(mutex_) = 0;  // 16 bits
  uint64_t random_low_ COGWHEEL_GUARDED_BY(mutex_) = 0;   // 64 bits
};

}  // namespace cogwheel
