#include "server/dispatch/job_end.h"

#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

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

JobEnd ExpiredEnd(double deadline_seconds) {
  return EndWith(JobState::kExpired,
                 {absl::StatusCode::kDeadlineExceeded, "DEADLINE",
                  absl::StrCat("the job's deadline of ", deadline_seconds, " s has passed")});
}

JobEnd FailedEnd(const absl::Status& why) {
  const std::string reason = ErrorReason(why);
  return EndWith(JobState::kFailed,
                 {why.code(), reason.empty() ? "JOB_FAILED" : reason, std::string(why.message())});
}

}  // namespace cogwheel
