#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "cogwheel/v1/video_service.pb.h"
#include "server/job/job.h"

// One attempt of a job on a group: what is asked, what is heard of it, and how it ends.
namespace cogwheel {

// What a group is asked to run.
struct AttemptOrder {
  std::string job;
  int32_t attempt = 0;
  v1::GenerateRequest request;               // resolved
  std::shared_ptr<const std::string> image;  // null when there is none
};

// How a job ended on its group.
struct RunOutcome {
  absl::StatusCode code = absl::StatusCode::kOk;  // kCancelled when it was cancelled
  std::string reason;
  std::string message;
  Artefact result;  // as the rank states it, if `code` is OK
  StageSeconds stage_seconds;
};

// What the ranks say when they agree to a job.
struct RunStart {
  std::vector<std::string> warnings;  // what its owner is to be told
  double decode_in_steps = 0;         // decode and encode, by arithmetic; 0 = not said
};

enum class RunStage { kTextEncode, kDenoise, kDecode };

struct RunProgress {
  RunStage stage = RunStage::kTextEncode;
  int step = 0;   // done so far in this stage
  int steps = 0;  // of this stage
};

enum class GroupLossKind {
  kLost,  // a rank died, fell silent, failed or hangs
  kLeft,  // a rank was asked to leave, by whoever runs it
};

// Why an epoch has ended, and with it the attempt of the job that ran.
struct GroupLoss {
  absl::Status why;      // for the job's owner too: names the rank by its number, not its host
  bool charged = false;  // the job may have caused it: a rank died, hung or differed while it ran.
                         // Not when ranks were asked to leave, or the frontend stood still or
                         // closed.
  absl::Status job_error = absl::OkStatus();  // not OK: what the job fails with, not to run again
  GroupLossKind kind = GroupLossKind::kLost;
};

}  // namespace cogwheel
