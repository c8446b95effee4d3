#pragma once

#include <chrono>
#include <deque>

namespace cogwheel {

// How often a group may be started again: at most `max_restarts` within any `window`. Pure.
class RestartBudget {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  RestartBudget(int max_restarts, std::chrono::seconds window)
      : max_restarts_(max_restarts), window_(window) {}

  // True, and counted, when one more start is allowed now.
  bool Take(TimePoint now) {
    while (!taken_.empty() && now - taken_.front() >= window_) taken_.pop_front();
    if (taken_.size() >= static_cast<size_t>(max_restarts_)) return false;
    taken_.push_back(now);
    return true;
  }

 private:
  const int max_restarts_;
  const std::chrono::seconds window_;
  std::deque<TimePoint> taken_;
};

}  // namespace cogwheel
