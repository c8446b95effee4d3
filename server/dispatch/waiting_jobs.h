#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "server/events/job_announcer.h"
#include "server/job/job.h"
#include "server/job/needs.h"
#include "server/schedule/admission.h"
#include "server/schedule/cost_model.h"
#include "server/schedule/placement.h"
#include "server/schedule/queued_job.h"
#include "server/schedule/request_queue.h"

namespace cogwheel {

// The jobs that wait: their order, their places in the ledger, and what is told of their turn.
// Owned by the dispatcher's thread.
class WaitingJobs {
 public:
  using NeedsOf = std::function<Capabilities(const v1::GenerateRequest&)>;
  struct Parts {
    AdmissionLedger& ledger;
    JobAnnouncer& announcer;
    const CostModel& costs;
    const Clock& clock;
    NeedsOf needs_of;
  };
  explicit WaitingJobs(Parts parts) : parts_(std::move(parts)) {}

  // How a job would wait. Thread-safe.
  QueuedJob Queued(const Job& job) const;

  // Of tenants, from now on.
  void SetWeights(std::map<std::string, double> weights) { queue_.SetWeights(std::move(weights)); }
  // A job whose place is reserved.
  void Push(QueuedJob queued) { queue_.Push(std::move(queued)); }
  // A job that was accepted earlier: it gets a place, beyond the limits if need be.
  void PushAgain(const Job& job, QueuedJob queued);
  // Takes out a job that starts: its tenant pays for it.
  std::optional<QueuedJob> Start(const std::string& name);
  // A job that was started and could not be claimed: its tenant does not pay.
  void PutBack(QueuedJob queued);
  // Takes out a job that will not run; nullopt when it does not wait.
  std::optional<QueuedJob> Remove(const std::string& name);

  // The order in which jobs would start now. Valid until the next change.
  std::vector<const QueuedJob*> InOrder() const { return queue_.InOrder(); }
  // Takes out the jobs that are too late.
  std::vector<QueuedJob> TakePastDeadline(QueuedJob::Time now);
  size_t size() const { return queue_.size(); }
  // Tells of each job's position, and of when it should start as `placement` has it.
  void Announce(Placement placement);

 private:
  const Parts parts_;
  RequestQueue queue_;
};

}  // namespace cogwheel
