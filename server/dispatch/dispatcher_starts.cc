#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "server/dispatch/dispatcher.h"
#include "server/job/fault.h"

// How attempts start: claimed in the store, with room for the result and the picture at hand, then
// given to the group. The group is taken from the first moment; it may be lost at any of them.
namespace cogwheel {

void Dispatcher::StartOn(WorkerGroup& group, const std::string& name) {
  std::optional<QueuedJob> queued = waiting_.Start(name);
  if (!queued.has_value()) return;
  std::erase(idle_, &group);
  const auto running = std::make_shared<RunningJob>(*queued, group, parts_.clock.Now());
  attempts_[name] = running;
  unfinished_ = static_cast<int>(attempts_.size());
  Failpoint("dispatch.before_claim");
  parts_.store.ClaimNext(
      {group.name(), group.epoch(), parts_.clock.Wall(), {name}},
      Later<absl::StatusOr<Job>>(*running, [this](RunningJob& each, absl::StatusOr<Job> claimed) {
        OnClaimed(each, std::move(claimed));
      }));
}

// The group goes on to the next job, if it is still there.
void Dispatcher::GiveGroupBack(RunningJob& running) {
  WorkerGroup* group = running.group();
  if (group == nullptr) return;
  running.LeaveGroup(parts_.clock.Now());
  OnIdle(*group);
}

// True when there is no reason to go on: somebody wants it to end, its group is gone, or the server
// goes.
bool Dispatcher::EndIfUnwanted(RunningJob& running) {
  const bool asked = running.job().cancel_requested || running.unwanted();
  const bool abandoned = abandoned_ != nullptr;
  if (!asked && !abandoned && running.group() != nullptr) return false;
  if (running.job().cancel_requested) running.Cancel(parts_.clock.Now());
  const bool lost = running.group() == nullptr;
  GiveGroupBack(running);
  const absl::Status gone = MakeError(absl::StatusCode::kUnavailable, kGroupLost,
                                      "its group was lost before the job had started");
  Finish(running, lost || abandoned ? running.EndWhenLost({.why = lost ? gone : ShutDown()})
                                    : running.EndWhenRequeued());
  return true;
}

void Dispatcher::OnUnclaimed(const RunningJob& running, const absl::Status& why) {
  const QueuedJob& queued = running.queued();
  if (absl::IsInternal(why)) return EndQueued(queued, FailedEnd(why));  // and never can be
  if (!IsStoreFault(why)) {  // another process has it, or it is gone
    return Log(LogLevel::kWarning, "job cannot be claimed",
               {{"job", queued.name}, {"error", std::string(why.message())}});
  }
  parts_.health.Failed("claim", why);
  const std::optional<JobEnd> asked = running.EndWhenFailed(why).end;  // meanwhile
  if (asked.has_value()) return EndQueued(queued, *asked);
  waiting_.PutBack(queued);
}

void Dispatcher::OnClaimed(RunningJob& running, absl::StatusOr<Job> claimed) {
  Failpoint("dispatch.after_claim");
  if (!claimed.ok()) {
    const Attempt kept = running.shared_from_this();
    Forget(running);
    GiveGroupBack(running);
    return OnUnclaimed(running, claimed.status());
  }
  running.OnClaimed(*std::move(claimed));
  parts_.metrics.queue_wait_seconds.Observe(
      std::chrono::duration<double>(parts_.clock.Now() - running.queued().arrival).count(),
      {running.queued().model});
  running.Enter(AttemptPhase::kPreparing);
  if (EndIfUnwanted(running)) return;
  const Job& job = running.job();
  using Writer = absl::StatusOr<std::shared_ptr<ResultWriter>>;
  parts_.results.Begin({job.name, job.epoch, job.attempt, running.queued().result_bytes},
                       Later<Writer>(running, [this](RunningJob& each, Writer writer) {
                         OnRoom(each, std::move(writer));
                       }));
}

void Dispatcher::OnRoom(RunningJob& running, absl::StatusOr<std::shared_ptr<ResultWriter>> writer) {
  if (!writer.ok()) return OnUnprepared(running, "room for a result", writer.status());
  running.UseWriter(*std::move(writer));
  if (running.job().image_sha256.empty()) return OnInput(running, InputStore::Bytes());
  using Image = absl::StatusOr<InputStore::Bytes>;
  parts_.inputs.Read(running.job().image_sha256,
                     Later<Image>(running, [this](RunningJob& each, Image image) {
                       OnInput(each, std::move(image));
                     }));
}

void Dispatcher::OnUnprepared(RunningJob& running, const char* what, const absl::Status& why) {
  if (IsStoreFault(why)) parts_.health.Failed(what, why);
  GiveGroupBack(running);
  Finish(running, running.EndWhenFailed(why));
}

void Dispatcher::OnInput(RunningJob& running, absl::StatusOr<InputStore::Bytes> image) {
  if (!image.ok()) return OnUnprepared(running, "a picture", image.status());
  if (EndIfUnwanted(running)) return;
  running.Run(parts_.clock.Now());
  const Job& job = running.job();
  Log(LogLevel::kInfo, "job dispatched",
      {{"job", job.name},
       {"attempt", absl::StrCat(job.attempt)},
       {"group", job.group},
       {"epoch", absl::StrCat(job.epoch)}});
  Failpoint("dispatch.before_run");
  running.group()->Run({job.name, job.attempt, job.request, *std::move(image)});
  Failpoint("dispatch.after_run");
}

}  // namespace cogwheel
