#include <algorithm>
#include <utility>

#include "base/log.h"
#include "proto/contract/status.h"
#include "server/dispatch/dispatcher.h"

// How attempts end: refused, finished, or lost with their group.
namespace cogwheel {

void Dispatcher::OnRefused(WorkerGroup& group, const absl::Status& why) {
  const std::optional<RunningJob> running = TakeRunning(group);
  if (!running.has_value()) return;
  // A rank that is about to leave: another group, or this one's next epoch, will take the job.
  if (absl::IsUnavailable(why)) return LoseAttempt(*running, {why, /*charged=*/false});
  recorder_.End(running->job(), running->EndWhenRefused(why));
}

void Dispatcher::OnFinished(WorkerGroup& group, const RunOutcome& outcome) {
  std::optional<RunningJob> running = TakeRunning(group);
  if (!running.has_value()) return;
  const std::optional<double> cancel_took = running->SecondsSinceCancel(parts_.clock.Now());
  if (cancel_took.has_value()) parts_.metrics.dispatch_cancel_ack_seconds.Observe(*cancel_took);
  const JobEnd end = running->EndWhenFinished(outcome);
  if (end.state == JobState::kSucceeded) Learn(*running, group);
  recorder_.End(running->job(), end);
}

void Dispatcher::Learn(const RunningJob& running, const WorkerGroup& group) {
  const QueuedJob& queued = running.queued();
  const auto now = parts_.clock.Now();
  const double expected =
      parts_.costs.Seconds(queued.model, group.setup(), queued.size).value_or(0);
  if (expected > 0) {
    parts_.metrics.dispatch_cost_error_ratio.Observe(running.SecondsSinceStart(now) / expected,
                                                     {queued.model});
  }
  const std::optional<SeenCosts> took = running.pace().Took(now);
  if (took.has_value()) parts_.costs.Learn(queued.model, group.setup(), *took);
}

void Dispatcher::OnLost(WorkerGroup& group, const GroupLoss& loss) {
  std::erase(idle_, &group);
  const std::optional<RunningJob> running = TakeRunning(group);
  if (running.has_value()) LoseAttempt(*running, loss);
}

void Dispatcher::OnLossExplained(const std::string& name, const absl::Status& why) {
  const std::vector<const QueuedJob*> waiting = waiting_.InOrder();
  const auto queued = std::ranges::find(waiting, name, &QueuedJob::name);
  if (queued == waiting.end()) return;  // it has ended, or another group has it
  const absl::StatusOr<Job> job = parts_.store.Get((*queued)->tenant, name);
  if (!job.ok()) {  // it goes on waiting, as if nothing had been explained
    return Log(LogLevel::kError, "cannot read a job whose loss is explained",
               {{"job", name}, {"error", std::string(job.status().message())}});
  }
  waiting_.Remove(name);
  recorder_.End(*job, job->cancel_requested ? CancelledEnd() : FailedEnd(why));
  waiting_.Announce(PlacementNow());
}

void Dispatcher::LoseAttempt(const RunningJob& running, const GroupLoss& loss) {
  const std::optional<JobEnd> end = running.EndWhenLost(loss);
  if (end.has_value()) return recorder_.End(running.job(), *end);
  recorder_.Requeue(running.job(), FailedEnd(loss.why).error, loss.charged,
                    [this, queued = running.queued()](const Job& job) {
                      if (job.cancel_requested) return recorder_.End(job, CancelledEnd());
                      waiting_.PushAgain(job, queued);
                      waiting_.Announce(PlacementNow());
                    });
}

}  // namespace cogwheel
