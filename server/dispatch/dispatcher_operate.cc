#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "server/dispatch/dispatcher.h"

// What an operator asks of jobs.
namespace cogwheel {

void Dispatcher::Ask(std::function<void()> task, const Done& done) {
  if (parts_.loop.TryPost(std::move(task))) return;
  done(MakeError(absl::StatusCode::kResourceExhausted, "DISPATCHER_BEHIND",
                 "the server has too many requests at hand"));
}

void Dispatcher::Requeue(const std::string& name, Done done) {
  Ask([this, name, done] { done(RequeueNow(name)); }, done);
}

absl::Status Dispatcher::RequeueNow(const std::string& name) {
  const auto found = attempts_.find(name);
  if (found == attempts_.end() || found->second->phase() >= AttemptPhase::kCommitting) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_RUNNING",
                     absl::StrCat(name, " does not run any more"));
  }
  found->second->Requeue();
  TellGroup(*found->second);
  return absl::OkStatus();
}

void Dispatcher::Fail(const std::string& name, const absl::Status& why, Done done) {
  const auto fail = [this, name, why, done] {
    const std::optional<QueuedJob> queued = waiting_.Remove(name);
    if (!queued.has_value()) return done(FailAttempt(name, why));
    EndQueued(
        *queued, FailedEnd(why), [done](const auto& job) { done(job.status()); },
        [done] { done(absl::OkStatus()); });
    waiting_.Announce(PlacementNow());
  };
  Ask(fail, done);
}

absl::Status Dispatcher::FailAttempt(const std::string& name, const absl::Status& why) {
  const auto found = attempts_.find(name);
  if (found == attempts_.end() || found->second->phase() == AttemptPhase::kCommitting ||
      found->second->job_ends()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "FINISHED",
                     absl::StrCat(name, " has ended, or its result is there"));
  }
  RunningJob& running = *found->second;
  if (running.phase() == AttemptPhase::kEnding) {  // it is to wait again, and fails then
    running.Explain(why);
    return absl::OkStatus();
  }
  running.Fail(why);
  TellGroup(running);
  return absl::OkStatus();
}

}  // namespace cogwheel
