#include "server/dispatch/waiting_jobs.h"

namespace cogwheel {

QueuedJob WaitingJobs::Queued(const Job& job) const {
  QueuedJob queued = ToQueuedJob(job, parts_.costs, parts_.clock);
  queued.needs = parts_.needs_of(job.request);
  return queued;
}

void WaitingJobs::PushAgain(const Job& job, QueuedJob queued) {
  parts_.ledger.Take(job.name, CostOf(job, queued.seconds));
  Push(std::move(queued));
}

void WaitingJobs::PutBack(QueuedJob queued) {
  parts_.ledger.Take(queued.name, {queued.model, queued.tenant, queued.bytes, queued.seconds, {}});
  queue_.PutBack(std::move(queued));
}

std::optional<QueuedJob> WaitingJobs::Start(const std::string& name) {
  std::optional<QueuedJob> queued = queue_.Take(name);
  if (queued.has_value()) parts_.ledger.Release(name);
  return queued;
}

std::optional<QueuedJob> WaitingJobs::Remove(const std::string& name) {
  std::optional<QueuedJob> queued = queue_.Remove(name);
  if (queued.has_value()) parts_.ledger.Release(name);
  return queued;
}

std::vector<QueuedJob> WaitingJobs::TakePastDeadline(QueuedJob::Time now) {
  std::vector<QueuedJob> late;
  for (const std::string& name : queue_.PastDeadline(now)) late.push_back(*Remove(name));
  return late;
}

void WaitingJobs::Announce(Placement placement) {
  std::map<std::string, int> positions;  // by model, of the jobs that a group can take
  std::vector<QueueEntry> entries;
  for (const QueuedJob* job : queue_.InOrder()) {
    QueueEntry entry{job->name, job->attempt, positions[job->model] + 1, std::nullopt, ""};
    const std::optional<Placement::Assignment> assigned = placement.Take(*job);
    if (!assigned.has_value()) entry.waiting_for = placement.Lacking(*job);
    if (entry.waiting_for.empty()) positions[job->model] = entry.position;
    if (assigned.has_value() && job->seconds > 0) entry.start_in = assigned->start_in;
    entries.push_back(std::move(entry));
  }
  parts_.announcer.Queue(entries);
}

}  // namespace cogwheel
