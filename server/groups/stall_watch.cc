#include "server/groups/stall_watch.h"

#include <utility>

namespace cogwheel {
namespace {

// A rank gives a silent frontend up after 15 s and is gone 10 s later, whatever hangs; its peers
// and the news of it take their time too.
constexpr std::chrono::seconds kAftermath{30};

}  // namespace

std::chrono::nanoseconds StallWatch::Turn() {
  const Time now = clock_.Now();
  const Time before = std::exchange(last_turn_, now);
  if (before == Time::min() || now - before <= limit_) return std::chrono::nanoseconds(0);
  over_ = now + kAftermath;
  return now - before;
}

bool StallWatch::Lately() const { return clock_.Now() < over_; }

}  // namespace cogwheel
