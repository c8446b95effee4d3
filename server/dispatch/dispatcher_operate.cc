#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "server/dispatch/dispatcher.h"

// What an operator asks of jobs.
namespace cogwheel {
void Dispatcher::Ask(std::function<absl::Status()> question, Done done) {
  const bool posted =
      parts_.loop.TryPost([question = std::move(question), done] { done(question()); });
  if (posted) return;
  done(MakeError(absl::StatusCode::kResourceExhausted, "DISPATCHER_BEHIND",
                 "the server has too many requests at hand"));
}

void Dispatcher::Requeue(const std::string& name, Done done) {
  Ask([this, name] { return RequeueNow(name); }, std::move(done));
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
  Ask([this, name, why] { return FailNow(name, why); }, std::move(done));
}

absl::Status Dispatcher::FailNow(const std::string& name, const absl::Status& why) {
  const std::optional<QueuedJob> queued = waiting_.Remove(name);
  if (queued.has_value()) {
    EndQueued(*queued, FailedEnd(why), [](const auto&) {});
    waiting_.Announce(PlacementNow());
    return absl::OkStatus();
  }
  const auto found = attempts_.find(name);
  if (found == attempts_.end() || found->second->phase() == AttemptPhase::kCommitting) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "FINISHED",
                     absl::StrCat(name, " has ended, or its result is there"));
  }
  RunningJob& running = *found->second;
  if (running.phase() == AttemptPhase::kEnding) {  // if it is to wait again, it fails then
    running.Explain(why);
    return absl::OkStatus();
  }
  running.Fail(why);
  TellGroup(running);
  return absl::OkStatus();
}

}  // namespace cogwheel
