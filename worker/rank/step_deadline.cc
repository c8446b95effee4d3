#include "worker/rank/step_deadline.h"

#include <algorithm>

namespace cogwheel {
namespace {

constexpr double kShareOfLatest = 0.2;
constexpr double kTimesAverage = 10;
constexpr std::chrono::seconds kLeast{10};
// A group runs few shapes; a stream of new ones must not grow the table without bound.
constexpr size_t kMaxShapes = 1024;

}  // namespace

void StepDeadline::SetShape(uint64_t shape) {
  if (is_lone_) Count(BlockKind::kDecode, *first_decode_);
  first_decode_.reset();
  is_lone_ = false;
  shape_ = shape;
}

void StepDeadline::Learn(BlockKind kind, Duration took) {
  is_lone_ = kind == BlockKind::kDecode && !first_decode_.has_value();
  if (is_lone_) {
    first_decode_ = took;
  } else {
    Count(kind, took);
  }
}

void StepDeadline::Count(BlockKind kind, Duration took) {
  if (seconds_.size() >= kMaxShapes) seconds_.clear();
  const double latest = std::chrono::duration<double>(took).count();
  const auto [entry, is_first] = seconds_.try_emplace({shape_, kind}, latest);
  if (!is_first) entry->second += kShareOfLatest * (latest - entry->second);
}

StepDeadline::Duration StepDeadline::Limit(BlockKind kind) const {
  const auto known = seconds_.find({shape_, kind});
  if (known == seconds_.end()) return std::max<Duration>(first_, kLeast);
  double usual = known->second;
  const auto step = seconds_.find({shape_, BlockKind::kStep});
  if (kind == BlockKind::kDecode && step != seconds_.end()) usual = std::max(usual, step->second);
  const std::chrono::duration<double> limit(kTimesAverage * usual);
  return std::max<Duration>(std::chrono::duration_cast<Duration>(limit), kLeast);
}

}  // namespace cogwheel
