#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cogwheel {

struct QueuedJob {
  std::string name;
  std::string model;
  int32_t attempt = 0;  // that it has had
  int priority = 0;     // higher first
  int64_t bytes = 0;
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

// Jobs that wait, by priority, then in the order they came. Owned by the dispatcher's thread. The
// bound is the ledger's: a job is pushed only with a place reserved.
class RequestQueue {
 public:
  void Push(QueuedJob job);
  // The next job for a group of `model`.
  std::optional<QueuedJob> Pop(const std::string& model);
  std::optional<QueuedJob> Remove(const std::string& name);
  std::vector<std::string> PastDeadline(std::chrono::steady_clock::time_point now) const;
  // In order, with the position among the jobs of the same model: 1 = next.
  void ForEach(const std::function<void(const QueuedJob&, int position)>& visit) const;
  size_t size() const { return jobs_.size(); }

 private:
  using Key = std::pair<int, int64_t>;  // -priority, arrival
  std::map<Key, QueuedJob> jobs_;
  int64_t arrivals_ = 0;
};

}  // namespace cogwheel
