#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/status.h"
#include "server/dispatch/dispatcher.h"
#include "server/job/fault.h"

// How jobs end: asked to, refused, finished, or lost with their group.
namespace cogwheel {
namespace {

constexpr std::chrono::seconds kCommitRetry{1};

}  // namespace

void Dispatcher::Cancel(const std::string& tenant, const std::string& name, Answer<Job> done) {
  const bool posted = parts_.loop.TryPost([this, tenant, name, done] {
    parts_.store.RequestCancel(
        tenant, name,
        parts_.loop.Later<absl::StatusOr<Job>>(
            [this, done](absl::StatusOr<Job> asked) { OnCancelAsked(done, std::move(asked)); }));
  });
  if (posted) return;
  done(MakeError(absl::StatusCode::kResourceExhausted, "DISPATCHER_BEHIND",
                 "the server has too many requests at hand"));
}

// A queued job is answered as it has ended; where the store cannot take that now, as it stands.
void Dispatcher::OnCancelAsked(const Answer<Job>& done, absl::StatusOr<Job> asked) {
  Failpoint("dispatch.after_cancel_flag");
  if (!asked.ok() || IsTerminal(asked->state)) return done(std::move(asked));
  const std::optional<QueuedJob> queued = waiting_.Remove(asked->name);
  if (queued.has_value()) {
    EndQueued(*queued, CancelledEnd(), done, [done, asked] { done(asked); });
    return waiting_.Announce(PlacementNow());
  }
  const auto found = attempts_.find(asked->name);
  if (found != attempts_.end() && found->second->Cancel(parts_.clock.Now())) {
    TellGroup(*found->second);
  }
  done(std::move(asked));
}

// That the attempt is to be given up. One that has not started is found unwanted then.
void Dispatcher::TellGroup(const RunningJob& running) {
  const bool runs = running.phase() == AttemptPhase::kRunning && running.group() != nullptr;
  if (runs) running.group()->Cancel();
}

void Dispatcher::EndQueued(const QueuedJob& queued, const JobEnd& end, JobRecorder::Told told,
                           std::function<void()> owed) {
  recorder_.End({queued.name, queued.epoch, queued.attempt, ""}, end, std::move(told),
                std::move(owed));
}

void Dispatcher::Expire() {
  const std::vector<QueuedJob> late = waiting_.TakePastDeadline(parts_.clock.Now());
  for (const QueuedJob& job : late) {
    EndQueued(job, ExpiredEnd(job.deadline_seconds));
  }
  if (!late.empty()) waiting_.Announce(PlacementNow());
  for (auto& [name, running] : attempts_) {
    if (running->Expire(parts_.clock.Now())) TellGroup(*running);
  }
}

void Dispatcher::OnRefused(WorkerGroup& group, const absl::Status& why) {
  RunningJob* running = TakeFrom(group);
  if (running == nullptr) return;
  // A rank that is about to leave: another group, or this one's next epoch, will take the job.
  if (absl::IsUnavailable(why)) return Finish(*running, running->EndWhenLost({.why = why}));
  Finish(*running, running->EndWhenRefused(why));
}

void Dispatcher::OnFinished(WorkerGroup& group, const RunOutcome& outcome) {
  RunningJob* running = TakeFrom(group);
  if (running == nullptr) return;
  const std::optional<double> cancel_took = running->SecondsSinceCancel(parts_.clock.Now());
  if (cancel_took.has_value()) parts_.metrics.dispatch_cancel_ack_seconds.Observe(*cancel_took);
  const std::optional<AttemptEnd> end = running->EndWhenFinished(outcome);
  if (end.has_value()) return Finish(*running, *end);
  Learn(*running, group);
  running->Enter(AttemptPhase::kCommitting);
  Commit(*running, outcome);
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

void Dispatcher::Commit(RunningJob& running, const RunOutcome& outcome) {
  running.writer().Commit(
      outcome.result,
      Later<absl::Status>(running, [this, outcome](RunningJob& each, absl::Status committed) {
        OnCommitted(each, outcome, committed);
      }));
}

// The whole result is there: what the store cannot do now is tried until it can.
void Dispatcher::OnCommitted(RunningJob& running, const RunOutcome& outcome,
                             const absl::Status& committed) {
  if (!IsStoreFault(committed)) {
    return Finish(running, running.EndWhenCommitted(committed, outcome));
  }
  parts_.health.Failed("the commit of a result", committed);
  if (running.result_failed()) return Finish(running, running.EndWhenFailed(committed));
  commits_owed_.push_back([this, attempt = running.weak_from_this(), outcome] {
    if (const Attempt alive = attempt.lock()) Commit(*alive, outcome);
  });
}

void Dispatcher::CommitOwed() {
  if (commits_owed_.empty()) return;
  const auto now = parts_.clock.Now();
  if (!parts_.health.ok() && now - commits_tried_ < kCommitRetry) return;
  commits_tried_ = now;
  for (const auto& commit : std::exchange(commits_owed_, {})) commit();
}

void Dispatcher::OnLost(WorkerGroup& group, const GroupLoss& loss) {
  std::erase(idle_, &group);
  RunningJob* running = TakeFrom(group);
  // One that has not started finds its group gone with its next answer.
  if (running == nullptr || running->phase() != AttemptPhase::kRunning) return;
  Finish(*running, running->EndWhenLost(loss));
}

void Dispatcher::OnLossExplained(const std::string& name, const absl::Status& why) {
  const std::optional<QueuedJob> queued = waiting_.Remove(name);
  if (queued.has_value()) {
    EndQueued(*queued, FailedEnd(why));
    return waiting_.Announce(PlacementNow());
  }
  const auto found = attempts_.find(name);
  const bool ending = found != attempts_.end() && found->second->phase() == AttemptPhase::kEnding;
  if (ending && !found->second->job_ends()) found->second->Explain(why);  // it will wait again
}

// The attempt is over: the store is told, and with its answer the attempt is forgotten.
void Dispatcher::Finish(RunningJob& running, const AttemptEnd& end) {
  running.End(end);
  announcer_.Silence(running.queued().name);
  const bool succeeds = end.end.has_value() && end.end->result.has_value();
  if (!succeeds) running.UseWriter(nullptr);  // its room is free at once
  const Job& job = running.job();
  const AttemptKey key = {job.name, job.epoch, job.attempt, job.group, running.gpu_seconds()};
  rules_.Use(running.queued().tenant, running.gpu_seconds());
  const Attempt attempt = running.shared_from_this();
  if (end.end.has_value()) {
    return recorder_.End(key, *end.end, [this, attempt](const auto&) { Forget(*attempt); });
  }
  recorder_.Requeue(key, end.cause, end.charged,
                    [this, attempt](const absl::StatusOr<Job>& job) { OnRequeued(*attempt, job); });
}

void Dispatcher::Forget(const RunningJob& running) {
  attempts_.erase(std::string(running.queued().name));
  unfinished_ = static_cast<int>(attempts_.size());
  TellAbandoned();
}

void Dispatcher::TellAbandoned() {
  if (abandoned_ == nullptr || !attempts_.empty()) return;
  parts_.loop.Post([done = std::exchange(abandoned_, nullptr)] { done(absl::OkStatus()); });
}

void Dispatcher::OnRequeued(const RunningJob& running, const absl::StatusOr<Job>& job) {
  Forget(running);
  if (!job.ok() || IsTerminal(job->state)) return;
  QueuedJob queued = running.queued();
  queued.epoch = job->epoch;
  queued.attempt = job->attempt;
  if (job->cancel_requested) return EndQueued(queued, CancelledEnd());
  if (!running.explained().ok()) return EndQueued(queued, FailedEnd(running.explained()));
  waiting_.PushAgain(*job, std::move(queued));
  waiting_.Announce(PlacementNow());
}

absl::Status Dispatcher::ShutDown() {
  return MakeError(absl::StatusCode::kUnavailable, "SHUTDOWN", "the server was shut down");
}

// Those that have not started end with their next answer.
void Dispatcher::Abandon(Done done) {
  parts_.loop.Post([this, done = std::move(done)] {
    std::vector<Attempt> running;
    for (const auto& [name, attempt] : attempts_) {
      const bool runs = attempt->phase() == AttemptPhase::kRunning;
      if (runs && attempt->group() != nullptr) running.push_back(attempt);
    }
    for (const Attempt& attempt : running) {
      attempt->group()->Cancel();
      attempt->LeaveGroup(parts_.clock.Now());
      Finish(*attempt, attempt->EndWhenLost({.why = ShutDown()}));
    }
    abandoned_ = done;
    TellAbandoned();
  });
}

}  // namespace cogwheel
