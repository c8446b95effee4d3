#include "server/queue/request_queue.h"

#include <algorithm>

namespace cogwheel {

void RequestQueue::Push(QueuedJob job) {
  const Key key{-job.priority, arrivals_++};
  jobs_.emplace(key, std::move(job));
}

std::optional<QueuedJob> RequestQueue::Pop(const std::string& model) {
  const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&model](const auto& entry) {
    return entry.second.model == model;
  });
  if (found == jobs_.end()) return std::nullopt;
  QueuedJob job = std::move(found->second);
  jobs_.erase(found);
  return job;
}

std::optional<QueuedJob> RequestQueue::Remove(const std::string& name) {
  const auto found = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&name](const auto& entry) { return entry.second.name == name; });
  if (found == jobs_.end()) return std::nullopt;
  QueuedJob job = std::move(found->second);
  jobs_.erase(found);
  return job;
}

std::vector<std::string> RequestQueue::PastDeadline(
    std::chrono::steady_clock::time_point now) const {
  std::vector<std::string> names;
  for (const auto& [key, job] : jobs_) {
    if (job.deadline.has_value() && *job.deadline <= now) names.push_back(job.name);
  }
  return names;
}

void RequestQueue::ForEach(const std::function<void(const QueuedJob&, int position)>& visit) const {
  std::map<std::string, int> positions;
  for (const auto& [key, job] : jobs_) visit(job, ++positions[job.model]);
}

}  // namespace cogwheel
