#include "server/dispatch/running_job.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/status.h"
#include "server/dispatch/worker_group.h"
#include "server/job/fault.h"

namespace cogwheel {
namespace {

constexpr int32_t kMaxCharges = 3;        // with the third a job has failed
constexpr double kShortestSilence = 0.5;  // seconds
constexpr double kSilentShare = 0.01;     // of the job

double Seconds(std::chrono::nanoseconds duration) { return duration.count() * 1e-9; }

AttemptEnd Ended(JobEnd end) { return {.end = std::move(end), .cause = {}, .charged = false}; }

}  // namespace

RunningJob::RunningJob(QueuedJob queued, WorkerGroup& group, Time now)
    : queued_(std::move(queued)),
      group_(&group),
      started_(now),
      pace_(queued_.size, now),
      told_(now) {}

void RunningJob::Enter(AttemptPhase phase) {
  if (phase <= phase_) {
    Log(LogLevel::kError, "an attempt goes backwards",  // a bug, and no reason to end a service
        {{"job", queued_.name}, {"from", absl::StrCat(static_cast<int>(phase_))}});
  }
  phase_ = phase;
}

void RunningJob::End(const AttemptEnd& end) {
  Enter(AttemptPhase::kEnding);
  job_ends_ = end.end.has_value();
}

void RunningJob::OnClaimed(Job job) {
  job_ = std::move(job);
  queued_.attempt = job_.attempt;
}

void RunningJob::Run(Time now) {
  Enter(AttemptPhase::kRunning);
  run_ = now;
  ranks_ = group_->ranks();
}

void RunningJob::LeaveGroup(Time now) {
  if (group_ != nullptr && run_.has_value()) gpu_seconds_ = Seconds(now - *run_) * ranks_;
  group_ = nullptr;
}

double RunningJob::SecondsSinceStart(Time now) const { return Seconds(now - started_); }

bool RunningJob::Cancel(Time now) {
  if (cancelled_at_.has_value()) return false;
  cancelled_at_ = now;
  return true;
}

bool RunningJob::Expire(Time now) {
  const bool late = queued_.deadline.has_value() && *queued_.deadline <= now;
  return late && !std::exchange(expired_, true);
}

std::optional<double> RunningJob::SecondsSinceCancel(Time now) const {
  if (!cancelled_at_.has_value()) return std::nullopt;
  return Seconds(now - *cancelled_at_);
}

void RunningJob::OnStarted(const RunStart& start, const std::optional<JobCosts>& known) {
  pace_.Expect(known, start.decode_in_steps);
  for (const std::string& warning : start.warnings) {
    if (std::ranges::find(job_.warnings, warning) == job_.warnings.end()) {
      job_.warnings.push_back(warning);
    }
  }
}

void RunningJob::OnProgress(const RunProgress& progress, Time now) {
  progress_ = progress;
  told_ = now;
  pace_.OnProgress(progress, now);
}

// While a long step or the decode of a chunk goes on. Seldom enough that the events of a job stay
// within the log's bound.
bool RunningJob::TellAgain(Time now) {
  if (!progress_.has_value() || Seconds(now - told_) < kShortestSilence) return false;
  const std::optional<double> left = pace_.SecondsLeft(now);
  if (!left.has_value()) return false;
  const double whole = SecondsSinceStart(now) + *left;
  if (Seconds(now - told_) < whole * kSilentShare) return false;
  told_ = now;
  return true;
}

bool RunningJob::FailResult(const absl::Status& why) {
  if (result_failed()) return false;
  result_error_ = why;
  return true;
}

// What the job's owner, an operator or its deadline asked for, if they did.
std::optional<JobEnd> RunningJob::RequestedEnd() const {
  if (!failed_.ok()) return FailedEnd(failed_);
  if (expired_) return ExpiredEnd(queued_.deadline_seconds);
  if (cancelled_at_.has_value()) return CancelledEnd();
  return std::nullopt;
}

std::optional<AttemptEnd> RunningJob::EndWhenFinished(const RunOutcome& outcome) const {
  if (result_failed()) return EndWhenFailed(result_error_);
  // A result that is there wins over a late cancel.
  if (outcome.code == absl::StatusCode::kOk) return std::nullopt;
  if (requeued_ && outcome.code == absl::StatusCode::kCancelled) return EndWhenRequeued();
  JobEnd end = outcome.code == absl::StatusCode::kCancelled
                   ? RequestedEnd().value_or(CancelledEnd())
                   : FailedEnd(MakeError(outcome.code, outcome.reason, outcome.message));
  end.stage_seconds = outcome.stage_seconds;
  return Ended(std::move(end));
}

AttemptEnd RunningJob::EndWhenCommitted(const absl::Status& committed,
                                        const RunOutcome& outcome) const {
  JobEnd end = committed.ok() ? SucceededEnd(outcome) : FailedEnd(committed);
  end.stage_seconds = outcome.stage_seconds;
  return Ended(std::move(end));
}

AttemptEnd RunningJob::EndWhenRequeued() const {
  return EndWhenLost({.why = MakeError(absl::StatusCode::kAborted, "OPERATOR",
                                       "an operator had it queued again")});
}

AttemptEnd RunningJob::EndWhenRefused(const absl::Status& why) const {
  if (requeued_) return EndWhenRequeued();  // before all ranks had agreed to it
  return Ended(RequestedEnd().value_or(FailedEnd(why)));
}

AttemptEnd RunningJob::EndWhenLost(const GroupLoss& loss) const {
  const std::optional<JobEnd> requested = RequestedEnd();
  if (requested.has_value()) return Ended(*requested);
  if (result_failed()) return EndWhenFailed(result_error_);
  if (!loss.job_error.ok()) return Ended(FailedEnd(loss.job_error));
  const bool poison = loss.charged && job_.charges + 1 >= kMaxCharges;
  if (poison) return Ended(FailedEnd(loss.why));
  return {.end = std::nullopt, .cause = FailedEnd(loss.why).error, .charged = loss.charged};
}

AttemptEnd RunningJob::EndWhenFailed(const absl::Status& why) const {
  const std::optional<JobEnd> requested = RequestedEnd();
  if (requested.has_value()) return Ended(*requested);
  if (!IsStoreFault(why)) return Ended(FailedEnd(why));
  return {.end = std::nullopt, .cause = StoreFaultForClients(why), .charged = false};
}

}  // namespace cogwheel
