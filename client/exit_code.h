#pragma once

#include <absl/status/status.h>

#include "cogwheel/v1/video_service.pb.h"

// What the shell sees. A pure table: every command ends through it.
namespace cogwheel {

enum class ExitCode : int {
  kDone = 0,
  kRefused = 2,      // the request, a local file, a checkpoint or a mesh cannot be used as it is
  kUnavailable = 3,  // not reachable, not ready, too much work: the same call may work later
  kFailed = 4,       // the job FAILED or EXPIRED, or something broke
  kCancelled = 5,
};

constexpr ExitCode ExitCodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return ExitCode::kDone;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return ExitCode::kRefused;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kCancelled:
      return ExitCode::kCancelled;
    default:  // INTERNAL, DATA_LOSS, UNKNOWN, UNIMPLEMENTED, ABORTED
      return ExitCode::kFailed;
  }
}

// For the commands that wait for a job's end. A job that is not finished is kFailed: its event
// stream ended early.
constexpr ExitCode ExitCodeOf(v1::JobState state) {
  switch (state) {
    case v1::SUCCEEDED:
      return ExitCode::kDone;
    case v1::CANCELLED:
      return ExitCode::kCancelled;
    case v1::QUEUED:
    case v1::RUNNING:
    case v1::FAILED:
    case v1::EXPIRED:
    case v1::JOB_STATE_UNSPECIFIED:
    case v1::JobState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::JobState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return ExitCode::kFailed;
}

}  // namespace cogwheel
