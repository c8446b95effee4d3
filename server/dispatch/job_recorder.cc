#include "server/dispatch/job_recorder.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/status.h"
#include "server/job/fault.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kRetry{1};

// A change that the store refuses, whatever its disk does.
bool IsRefused(const absl::Status& status) { return absl::IsInternal(status); }

}  // namespace

bool JobRecorder::Settled(const char* what, const absl::Status& status, Send again) {
  if (!IsStoreFault(status)) return true;
  parts_.health.Failed(what, status);
  owed_.push_back(std::move(again));
  return false;
}

void JobRecorder::CountFenced(const absl::Status& status, const std::string& group) {
  if (absl::IsAborted(status)) parts_.metrics.dispatch_fenced_commits_total.Increment({group});
}

void JobRecorder::Warn(const Job& job) {
  SendWarnings({job.name, job.epoch, job.attempt, job.warnings}, job.group);
}

void JobRecorder::SendWarnings(const JobWarnings& known, const std::string& group) {
  const auto answered = [this, known, group](absl::Status status) {
    if (!Settled("warnings", status, [this, known, group] { SendWarnings(known, group); })) return;
    CountFenced(status, group);
  };
  parts_.store.Warn(known, parts_.loop.Later<absl::Status>(answered));
}

void JobRecorder::End(const AttemptKey& key, const JobEnd& end, Told told,
                      std::function<void()> owed) {
  FinishedJob finished;
  finished.name = key.job;
  finished.epoch = key.epoch;
  finished.attempt = key.attempt;
  finished.state = end.state;
  finished.error = end.error;
  finished.result = end.result;
  finished.stage_seconds = end.stage_seconds;
  finished.end_time = parts_.clock.Wall();
  finished.gpu_seconds = key.gpu_seconds;
  SendEnd(key, finished, {std::move(told), std::move(owed)});
}

void JobRecorder::SendEnd(const AttemptKey& key, const FinishedJob& given, const Asker& asker) {
  FinishedJob finished = given;
  finished.last_sequence = parts_.announcer.EndSequence(key.job, key.attempt);
  Failpoint("dispatch.before_finish");
  parts_.store.Finish(finished, parts_.loop.Later<absl::StatusOr<Job>>(
                                    [this, key, finished, asker](absl::StatusOr<Job> ended) {
                                      OnEnded(key, finished, asker, std::move(ended));
                                    }));
}

void JobRecorder::OnEnded(const AttemptKey& key, const FinishedJob& finished, Asker asker,
                          absl::StatusOr<Job> ended) {
  Failpoint("dispatch.after_finish");
  const absl::Status& status = ended.status();
  if (IsStoreFault(status) && asker.owed) {  // nobody waits for an answer any more
    std::exchange(asker, {[](const auto&) {}, {}}).owed();
  }
  if (!Settled("end", status, [=, this] { SendEnd(key, finished, asker); })) return;
  // With its numbers it was refused; so that nobody waits for it, it ends without them.
  if (IsRefused(status) && ErrorReason(status) != finished.error.reason) {
    Log(LogLevel::kError, "the store refuses how a job ended",
        {{"job", key.job}, {"error", std::string(status.message())}});
    return End(key, FailedEnd(status), asker.told, asker.owed);
  }
  CountFenced(status, key.group);
  if (ended.ok()) {
    parts_.announcer.Ended(*ended);
    Show(key, *ended);
    parts_.ended();
  }
  asker.told(std::move(ended));
}

// To the log and the metrics.
void JobRecorder::Show(const AttemptKey& key, const Job& job) {
  const std::string& model = job.request.model();
  const std::string state = JobStateName(job.state);
  Log(LogLevel::kInfo, "job ended",
      {{"job", job.name},
       {"state", state},
       {"reason", job.error.reason},
       {"error", job.error.message}});
  if (key.group.empty() || !job.start_time.has_value()) return;  // it may have run earlier
  const StageSeconds& seconds = job.stage_seconds;
  const std::pair<const char*, double> stages[] = {{"text_encode", seconds.text_encode},
                                                   {"denoise", seconds.denoise},
                                                   {"decode", seconds.decode},
                                                   {"encode", seconds.encode}};
  for (const auto& [stage, took] : stages) {
    if (took > 0) parts_.metrics.dispatch_stage_duration_seconds.Observe(took, {model, stage});
  }
  const std::chrono::duration<double> whole = *job.end_time - *job.start_time;
  parts_.metrics.dispatch_job_duration_seconds.Observe(whole.count(), {model, state});
}

void JobRecorder::Requeue(const AttemptKey& key, const JobError& cause, bool charged, Told told) {
  parts_.metrics.dispatch_jobs_requeued_total.Increment({cause.reason});
  SendRequeue(
      {key.job, key.epoch, key.attempt, charged, cause, parts_.clock.Wall(), key.gpu_seconds},
      key.group, told);
}

void JobRecorder::SendRequeue(const LostAttempt& lost, const std::string& group, const Told& told) {
  Failpoint("dispatch.before_requeue");
  parts_.store.Requeue(lost, parts_.loop.Later<absl::StatusOr<Job>>(
                                 [this, lost, group, told](absl::StatusOr<Job> queued) {
                                   OnRequeued(lost, group, told, std::move(queued));
                                 }));
}

void JobRecorder::OnRequeued(const LostAttempt& lost, const std::string& group, const Told& told,
                             absl::StatusOr<Job> queued) {
  Failpoint("dispatch.after_requeue");
  const absl::Status& status = queued.status();
  if (!Settled("requeue", status, [=, this] { SendRequeue(lost, group, told); })) return;
  if (IsRefused(status)) {  // so that nobody waits for a job that never runs again
    return End({lost.name, lost.epoch, lost.attempt, group, lost.gpu_seconds}, FailedEnd(status),
               told);
  }
  CountFenced(status, group);
  if (queued.ok()) {
    Log(LogLevel::kWarning, "job queued again",
        {{"job", queued->name},
         {"attempt", absl::StrCat(queued->attempt)},
         {"charges", absl::StrCat(queued->charges)},
         {"reason", lost.cause.reason},
         {"error", lost.cause.message}});
  }
  told(std::move(queued));
}

void JobRecorder::Tick() {
  if (owed_.empty()) return;
  const auto now = parts_.clock.Now();
  if (!parts_.health.ok() && now - tried_ < kRetry) return;
  tried_ = now;
  for (const Send& send : std::exchange(owed_, {})) send();
}

}  // namespace cogwheel
