#include "server/dispatch/job_end.h"

#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr double kSecondsPerNano = 1e-9;

JobEnd EndWith(JobState state, JobError error) {
  JobEnd end;
  end.state = state;
  end.error = std::move(error);
  return end;
}

}  // namespace

JobEnd SucceededEnd(const RunOutcome& outcome) {
  JobEnd end = EndWith(JobState::kSucceeded, {});
  end.result = outcome.result;
  return end;
}

JobEnd CancelledEnd() {
  return EndWith(JobState::kCancelled,
                 {absl::StatusCode::kCancelled, "CANCELLED", "the job was cancelled"});
}

JobEnd ExpiredEnd(const Job& job) {
  const auto& deadline = job.request.deadline();
  const double seconds = deadline.seconds() + deadline.nanos() * kSecondsPerNano;
  return EndWith(JobState::kExpired,
                 {absl::StatusCode::kDeadlineExceeded, "DEADLINE",
                  absl::StrCat("the job's deadline of ", seconds, " s has passed")});
}

JobEnd FailedEnd(const absl::Status& why) {
  const std::string reason = ErrorReason(why);
  return EndWith(JobState::kFailed,
                 {why.code(), reason.empty() ? "JOB_FAILED" : reason, std::string(why.message())});
}

}  // namespace cogwheel
