#include "worker/rank/step_deadline.h"

#include <algorithm>

namespace cogwheel {
namespace {

constexpr int64_t kEnough = 3;
constexpr double kLeastShareOfLatest = 0.2;
constexpr double kTimesMean = 10;
constexpr std::chrono::seconds kLeast{10};
// A group runs few shapes, each with a hundred kinds of units at most; a stream of new ones must
// not grow the table without bound.
constexpr size_t kMaxKinds = 16384;

}  // namespace

void StepDeadline::Learn(const WorkUnit& unit, Duration worked) {
  if (known_.size() >= kMaxKinds) known_.clear();
  Known& known = known_[{shape_, unit}];
  ++known.count;
  const double latest = std::chrono::duration<double>(worked).count();
  const double share = std::max(1.0 / static_cast<double>(known.count), kLeastShareOfLatest);
  known.mean_seconds += share * (latest - known.mean_seconds);
}

StepDeadline::Duration StepDeadline::Limit(const WorkUnit& unit) const {
  const auto known = known_.find({shape_, unit});
  if (known == known_.end() || known->second.count < kEnough) {
    return std::max<Duration>(first_, kLeast);
  }
  const std::chrono::duration<double> limit(kTimesMean * known->second.mean_seconds);
  return std::max<Duration>(std::chrono::duration_cast<Duration>(limit), kLeast);
}

}  // namespace cogwheel
