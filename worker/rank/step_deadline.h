#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "worker/journal/program_journal.h"

namespace cogwheel {

// How long one block of work may take before the rank counts as hung: ten times what such blocks of
// the same shape took on average, at least 10 s; the first of its kind gets `first`. The first
// block of a job's decode counts only where it is the only one: it holds nothing but its agreement
// where others follow. A block of the decode, where a rank may have had nothing to do but wait for
// another's chunk, gets no less than a step. Pure: the caller knows the time. Owned by whoever
// guards it.
class StepDeadline {
 public:
  using Duration = std::chrono::nanoseconds;

  explicit StepDeadline(Duration first) : first_(first) {}

  // A job begins: blocks from here on are of this shape (any number that tells shapes apart).
  void SetShape(uint64_t shape);
  void Learn(BlockKind kind, Duration took);
  // Of a block of the current shape.
  Duration Limit(BlockKind kind) const;

 private:
  void Count(BlockKind kind, Duration took);

  const Duration first_;
  std::optional<Duration> first_decode_;  // this job's
  bool is_lone_ = false;                  // that one was the last block so far
  uint64_t shape_ = 0;
  std::map<std::pair<uint64_t, BlockKind>, double> seconds_;  // moving averages
};

}  // namespace cogwheel
