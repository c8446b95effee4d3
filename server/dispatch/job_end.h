#pragma once

#include <optional>

#include <absl/status/status.h>

#include "server/job/run.h"

namespace cogwheel {

// How a job ends: its terminal state and what is told of it. Pure.
struct JobEnd {
  JobState state = JobState::kFailed;
  JobError error;
  std::optional<Artefact> result;
  StageSeconds stage_seconds;
};

// How an attempt ends: with the job, or for another attempt.
struct AttemptEnd {
  std::optional<JobEnd> end;  // nullopt: the job is queued again
  JobError cause;             // of that
  bool charged = false;       // the job may have caused it
};

JobEnd SucceededEnd(const RunOutcome& outcome);
JobEnd CancelledEnd();
JobEnd ExpiredEnd(double deadline_seconds);  // by its own deadline
JobEnd FailedEnd(const absl::Status& why);   // reason JOB_FAILED if `why` has none

}  // namespace cogwheel
