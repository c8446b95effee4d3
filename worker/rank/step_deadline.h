#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

#include "worker/journal/program_journal.h"

namespace cogwheel {

// How long one unit of work (a layer, a convolution; on a GPU a whole step) may take before the
// rank counts as hung: ten times what such units of a job of this shape took on average, at least
// 10 s; `first` until three of them are known. So it does not matter how many of them a step has,
// or how slow the machine is. Time that a rank waits for others is not its work: they have limits
// of their own. Pure: the caller knows the time. Owned by whoever guards it.
class StepDeadline {
 public:
  using Duration = std::chrono::nanoseconds;

  explicit StepDeadline(Duration first) : first_(first) {}

  // A job begins: units from here on are of this shape (any number that tells shapes apart).
  void SetShape(uint64_t shape) { shape_ = shape; }
  void Learn(const WorkUnit& unit, Duration worked);
  // Of a unit of a job of the current shape.
  Duration Limit(const WorkUnit& unit) const;

 private:
  struct Known {
    int64_t count = 0;
    double mean_seconds = 0;  // of all, once they are many of the latest
  };

  const Duration first_;
  uint64_t shape_ = 0;
  std::map<std::pair<uint64_t, WorkUnit>, Known> known_;
};

}  // namespace cogwheel
