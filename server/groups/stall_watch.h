#pragma once

#include <chrono>

#include "base/clock.h"

namespace cogwheel {

// Notices that the dispatcher's thread, and most likely this whole process, stood still: between
// two of its turns, which ticks bring ten times a second, lay more than `limit`. Ranks were not
// heard then, and after 15 s without an answer they leave: neither is their fault or the job's.
// Owned by the dispatcher's thread.
class StallWatch {
 public:
  StallWatch(const Clock& clock, std::chrono::nanoseconds limit) : clock_(clock), limit_(limit) {}

  // The thread is here. Returns how long it was away if that was a stall, else 0.
  std::chrono::nanoseconds Turn();
  // True for so long after a stall that a rank's going may be its doing.
  bool Lately() const;

 private:
  using Time = std::chrono::steady_clock::time_point;

  const Clock& clock_;
  const std::chrono::nanoseconds limit_;
  Time last_turn_ = Time::min();  // before the first
  Time over_ = Time::min();       // from when on nothing is put down to the last stall
};

}  // namespace cogwheel
