#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "worker/parallel/communicator.h"

namespace cogwheel {

// How long one block of work may take before the rank counts as hung: ten times what such blocks of
// the same shape took on average, at least 10 s; the first of its kind gets `first`. A block of the
// decode, where a rank may have had nothing to do but wait for another's chunk, gets no less than a
// step, which is more work than a chunk. Pure: the caller knows the time. Owned by whoever guards
// it.
class StepDeadline {
 public:
  using Duration = std::chrono::nanoseconds;

  explicit StepDeadline(Duration first) : first_(first) {}

  // Blocks from here on belong to jobs of this shape (any number that tells shapes apart).
  void SetShape(uint64_t shape) { shape_ = shape; }
  void Learn(BlockKind kind, Duration took);
  // Of a block of the current shape.
  Duration Limit(BlockKind kind) const;

 private:
  const Duration first_;
  uint64_t shape_ = 0;
  std::map<std::pair<uint64_t, BlockKind>, double> seconds_;  // moving averages
};

}  // namespace cogwheel
