#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>

namespace cogwheel {

// How often a group may be started again: at most `max_restarts` within any `window`; the first at
// once, each further one after twice the pause of the one before, so that a fault of some seconds
// does not use them up. Pure.
class RestartBudget {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Limits {
    int max_restarts = 5;
    std::chrono::seconds window{600};
    std::chrono::milliseconds pause{1'000};  // of the second within a window
    std::chrono::milliseconds longest_pause{30'000};
  };
  explicit RestartBudget(const Limits& limits) : limits_(limits) {}

  // Counted: one more start is allowed, after this pause. Nothing: none is.
  std::optional<std::chrono::milliseconds> Take(TimePoint now) {
    while (!taken_.empty() && now - taken_.front() >= limits_.window) taken_.pop_front();
    if (taken_.size() >= static_cast<size_t>(limits_.max_restarts)) return std::nullopt;
    auto pause = taken_.empty() ? std::chrono::milliseconds(0) : limits_.pause;
    for (size_t i = 1; i < taken_.size() && pause < limits_.longest_pause; ++i) pause *= 2;
    taken_.push_back(now);
    return std::min(pause, limits_.longest_pause);
  }

 private:
  const Limits limits_;
  std::deque<TimePoint> taken_;
};

}  // namespace cogwheel
