#include "server/dispatch/running_job.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"

namespace cogwheel {
namespace {

constexpr int32_t kMaxCharges = 3;        // with the third a job has failed
constexpr double kShortestSilence = 0.5;  // seconds
constexpr double kSilentShare = 0.01;     // of the job

double Seconds(std::chrono::nanoseconds duration) { return duration.count() * 1e-9; }

}  // namespace

RunningJob::RunningJob(Job job, QueuedJob queued, std::unique_ptr<ResultWriter> writer, Time now)
    : job_(std::move(job)),
      queued_(std::move(queued)),
      writer_(std::move(writer)),
      started_(now),
      pace_(queued_.size, now),
      told_(now) {
  job_.image = nullptr;
  queued_.attempt = job_.attempt;
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

absl::Status RunningJob::Append(int64_t offset, std::string_view data) {
  if (result_failed()) return result_error_;
  result_error_ = data.size() > kMaxChunkBytes
                      ? MakeError(absl::StatusCode::kInternal, "RESULT_CHUNK",
                                  absl::StrCat("a piece of the result has ", data.size(),
                                               " bytes; the limit is ", kMaxChunkBytes))
                      : writer_->Append(offset, data);
  return result_error_;
}

// What the job's owner or its deadline asked for, if they did.
std::optional<JobEnd> RunningJob::RequestedEnd() const {
  if (expired_) return ExpiredEnd(job_);
  if (cancelled_at_.has_value()) return CancelledEnd();
  return std::nullopt;
}

JobEnd RunningJob::EndWhenFinished(const RunOutcome& outcome) {
  JobEnd end = EndOf(outcome);
  end.stage_seconds = outcome.stage_seconds;
  return end;
}

JobEnd RunningJob::EndOf(const RunOutcome& outcome) {
  if (result_failed()) return FailedEnd(result_error_);
  if (outcome.code == absl::StatusCode::kOk) {  // a result that is there wins over a late cancel
    const absl::Status committed = writer_->Commit(outcome.result);
    return committed.ok() ? SucceededEnd(outcome) : FailedEnd(committed);
  }
  if (outcome.code == absl::StatusCode::kCancelled) return RequestedEnd().value_or(CancelledEnd());
  return FailedEnd(MakeError(outcome.code, outcome.reason, outcome.message));
}

JobEnd RunningJob::EndWhenRefused(const absl::Status& why) const {
  return RequestedEnd().value_or(FailedEnd(why));
}

std::optional<JobEnd> RunningJob::EndWhenLost(const GroupLoss& loss) const {
  std::optional<JobEnd> requested = RequestedEnd();
  if (requested.has_value()) return requested;
  if (result_failed()) return FailedEnd(result_error_);
  if (!loss.job_error.ok()) return FailedEnd(loss.job_error);
  const bool poison = loss.charged && job_.charges + 1 >= kMaxCharges;
  return poison ? std::optional(FailedEnd(loss.why)) : std::nullopt;
}

}  // namespace cogwheel
