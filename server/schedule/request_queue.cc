#include "server/schedule/request_queue.h"

#include <algorithm>
#include <tuple>

namespace cogwheel {
namespace {

constexpr std::chrono::minutes kWaitPerPriority{1};

}  // namespace

double RequestQueue::PriceOf(const QueuedJob& job) const {
  const auto weight = weights_.find(job.tenant);
  const double seconds = job.seconds > 0 ? job.seconds : 1;
  return weight == weights_.end() ? seconds : seconds / weight->second;
}

void RequestQueue::Push(QueuedJob job) {
  Tenant& tenant = tenants_[job.tenant];
  // Who was away saves nothing up.
  if (tenant.jobs.empty()) tenant.paid = std::max(tenant.paid, turn_);
  Key key{job.arrival - job.priority * kWaitPerPriority, job.name};
  index_[job.name] = {job.tenant, key};
  tenant.jobs.emplace(std::move(key), std::move(job));
}

std::optional<QueuedJob> RequestQueue::Remove(const std::string& name) {
  const auto entry = index_.find(name);
  if (entry == index_.end()) return std::nullopt;
  const auto& [tenant_name, key] = entry->second;
  const auto tenant = tenants_.find(tenant_name);
  const auto found = tenant->second.jobs.find(key);
  std::optional<QueuedJob> job = std::move(found->second);
  tenant->second.jobs.erase(found);
  if (tenant->second.jobs.empty() && tenant->second.paid <= turn_) tenants_.erase(tenant);
  index_.erase(entry);
  return job;
}

std::optional<QueuedJob> RequestQueue::Take(const std::string& name) {
  const auto entry = index_.find(name);
  if (entry == index_.end()) return std::nullopt;
  Tenant& tenant = tenants_.at(entry->second.first);
  turn_ = std::max(turn_, tenant.paid);
  tenant.paid += PriceOf(tenant.jobs.at(entry->second.second));
  return Remove(name);
}

void RequestQueue::PutBack(QueuedJob job) {
  tenants_[job.tenant].paid -= PriceOf(job);
  Push(std::move(job));
}

std::vector<const QueuedJob*> RequestQueue::InOrder() const {
  struct Line {
    std::map<Key, QueuedJob>::const_iterator next, end;
    double paid = 0;
  };
  std::vector<Line> lines;
  for (const auto& [name, tenant] : tenants_) {
    lines.push_back({tenant.jobs.begin(), tenant.jobs.end(), tenant.paid});
  }
  const auto sooner = [](const Line& a, const Line& b) {
    if (a.next == a.end || b.next == b.end) return a.next != a.end && b.next == b.end;
    return std::tie(a.paid, a.next->first) < std::tie(b.paid, b.next->first);
  };
  std::vector<const QueuedJob*> order;
  while (order.size() < index_.size()) {
    Line& line = *std::min_element(lines.begin(), lines.end(), sooner);
    order.push_back(&line.next->second);
    line.paid += PriceOf(line.next->second);
    ++line.next;
  }
  return order;
}

std::vector<std::string> RequestQueue::PastDeadline(QueuedJob::Time now) const {
  std::vector<std::string> names;
  for (const auto& [tenant_name, tenant] : tenants_) {
    for (const auto& [key, job] : tenant.jobs) {
      if (job.deadline.has_value() && *job.deadline <= now) names.push_back(job.name);
    }
  }
  return names;
}

}  // namespace cogwheel
