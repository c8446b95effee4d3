#include "server/dispatch/job_recorder.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"

namespace cogwheel {
namespace {

constexpr std::chrono::minutes kTrimPeriod{1};
constexpr std::chrono::hours kKeyAge{24};

}  // namespace

// True when the store will never take it: another attempt is current, or the job is gone.
bool JobRecorder::Fenced(const absl::Status& status, const std::string& group) {
  if (absl::IsAborted(status)) parts_.metrics.dispatch_fenced_commits_total.Increment({group});
  return absl::IsAborted(status) || absl::IsNotFound(status);
}

void JobRecorder::Settle(Action action) {
  if (action()) return;
  Log(LogLevel::kError, "the store cannot take a job's change; no job starts until it can");
  unsettled_.push_back(std::move(action));
}

void JobRecorder::Warn(const Job& job) {
  Settle([this, job] {
    const auto kept = Await<absl::Status>([&](Done done) {
      parts_.store.Warn({job.name, job.epoch, job.attempt, job.warnings}, std::move(done));
    });
    return kept.ok() || Fenced(kept, job.group);
  });
}

void JobRecorder::End(const Job& job, const JobEnd& end) {
  FinishedJob finished;
  finished.name = job.name;
  finished.epoch = job.epoch;
  finished.attempt = job.attempt;
  finished.state = end.state;
  finished.error = end.error;
  finished.result = end.result;
  finished.stage_seconds = end.stage_seconds;
  finished.end_time = parts_.clock.Wall();
  Settle([this, job, finished] { return StoreEnd(job, finished); });
}

bool JobRecorder::StoreEnd(const Job& job, FinishedJob finished) {
  finished.last_sequence = parts_.announcer.EndSequence(job);
  Failpoint("dispatch.before_finish");
  const absl::StatusOr<Job> ended = Await<absl::StatusOr<Job>>(
      [&](Answer<Job> done) { parts_.store.Finish(finished, std::move(done)); });
  Failpoint("dispatch.after_finish");
  if (absl::IsDataLoss(ended.status())) {  // the result is not there: the job has none
    End(job, FailedEnd(ended.status()));
    return true;
  }
  if (!ended.ok()) return Fenced(ended.status(), job.group);
  parts_.announcer.Ended(*ended);
  const std::string& model = job.request.model();
  const std::string state = JobStateName(ended->state);
  Log(LogLevel::kInfo, "job ended",
      {{"job", job.name},
       {"state", state},
       {"reason", ended->error.reason},
       {"error", ended->error.message}});
  if (job.state == JobState::kRunning) {  // one that ends in the queue may have run earlier
    ObserveStages(model, ended->stage_seconds);
    const std::chrono::duration<double> seconds = finished.end_time - *job.start_time;
    parts_.metrics.dispatch_job_duration_seconds.Observe(seconds.count(), {model, state});
  }
  ended_since_trim_ = true;
  return true;
}

void JobRecorder::ObserveStages(const std::string& model, const StageSeconds& seconds) {
  const std::pair<const char*, double> stages[] = {{"text_encode", seconds.text_encode},
                                                   {"denoise", seconds.denoise},
                                                   {"decode", seconds.decode},
                                                   {"encode", seconds.encode}};
  for (const auto& [stage, took] : stages) {
    if (took > 0) parts_.metrics.dispatch_stage_duration_seconds.Observe(took, {model, stage});
  }
}

void JobRecorder::Requeue(const Job& job, const JobError& cause, bool charged,
                          std::function<void(const Job&)> requeued) {
  const LostAttempt lost = {job.name, job.epoch, job.attempt, charged, cause};
  parts_.metrics.dispatch_jobs_requeued_total.Increment({cause.reason});
  Settle([this, lost, group = job.group, requeued = std::move(requeued)] {
    Failpoint("dispatch.before_requeue");
    const absl::StatusOr<Job> queued = Await<absl::StatusOr<Job>>(
        [&](Answer<Job> done) { parts_.store.Requeue(lost, std::move(done)); });
    Failpoint("dispatch.after_requeue");
    if (!queued.ok()) return Fenced(queued.status(), group);
    Log(LogLevel::kWarning, "job queued again",
        {{"job", queued->name},
         {"attempt", absl::StrCat(queued->attempt)},
         {"charges", absl::StrCat(queued->charges)},
         {"reason", lost.cause.reason},
         {"error", lost.cause.message}});
    requeued(*queued);
    return true;
  });
}

absl::StatusOr<Job> JobRecorder::Delete(const std::string& tenant, const std::string& name) {
  absl::StatusOr<Job> known = parts_.store.Get(tenant, name);
  if (!known.ok()) return known;
  const absl::StatusOr<Removed> removed = Await<absl::StatusOr<Removed>>(
      [&](Answer<Removed> done) { parts_.store.Delete(tenant, name, std::move(done)); });
  if (!removed.ok()) return removed.status();
  Forget(*removed);
  return known;
}

void JobRecorder::Forget(const Removed& removed) {
  for (const std::string& job : removed.jobs) parts_.events.Forget(job);
  for (const Artefact& orphan : removed.orphans) parts_.results.Remove(orphan);
}

void JobRecorder::Trim() {
  Retention retention;
  retention.finished_jobs = parts_.keep.jobs;
  retention.result_bytes = parts_.keep.result_bytes;
  retention.results_ended_before = parts_.clock.Wall() - parts_.keep.result_age;
  retention.keys_created_before = parts_.clock.Wall() - kKeyAge;
  const absl::StatusOr<Removed> removed = Await<absl::StatusOr<Removed>>(
      [&](Answer<Removed> done) { parts_.store.Trim(retention, std::move(done)); });
  if (removed.ok()) Forget(*removed);
}

void JobRecorder::Tick() {
  for (Action& action : std::exchange(unsettled_, {})) {
    if (!action()) unsettled_.push_back(std::move(action));
  }
  const auto now = parts_.clock.Now();
  if (!ended_since_trim_ && now - last_trim_ < kTrimPeriod) return;
  ended_since_trim_ = false;
  last_trim_ = now;
  Trim();
}

}  // namespace cogwheel
