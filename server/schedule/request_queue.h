#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/schedule/queued_job.h"

namespace cogwheel {

// Jobs that wait. Tenants take turns by what they have had (start-time fair queuing, Goyal et al.
// 1996, over estimated seconds divided by the tenant's weight); a tenant's own jobs go by priority,
// then by age, and a minute of waiting counts as one priority more. Owned by the dispatcher's
// thread. The bound is the ledger's: a job is pushed only with its place reserved there.
class RequestQueue {
 public:
  // For jobs that start from now on. A tenant that is not named has weight 1.
  void SetWeights(std::map<std::string, double> weights) { weights_ = std::move(weights); }
  void Push(QueuedJob job);
  // Takes out a job that starts: its tenant pays for it.
  std::optional<QueuedJob> Take(const std::string& name);
  // A job that was taken and did not start: its tenant has its price back.
  void PutBack(QueuedJob job);
  // Takes out a job that will not run.
  std::optional<QueuedJob> Remove(const std::string& name);
  // The order in which jobs would start now. Valid until the next change.
  std::vector<const QueuedJob*> InOrder() const;
  std::vector<std::string> PastDeadline(QueuedJob::Time now) const;
  size_t size() const { return index_.size(); }

 private:
  using Key = std::pair<QueuedJob::Time, std::string>;  // arrival less the priority's worth, name
  struct Tenant {
    std::map<Key, QueuedJob> jobs;
    double paid = 0;  // seconds over weight
  };
  double PriceOf(const QueuedJob& job) const;

  std::map<std::string, double> weights_;
  std::map<std::string, Tenant> tenants_;
  std::map<std::string, std::pair<std::string, Key>> index_;  // tenant and key by job
  double turn_ = 0;  // what the tenant that was served last had paid by then
};

}  // namespace cogwheel
