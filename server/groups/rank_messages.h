#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "server/dispatch/worker_group.h"

// What ranks say, read as what it means to the dispatcher. Pure.
namespace cogwheel {

// False for a message of another epoch or job, which is dropped. Heartbeats count whatever they
// carry.
bool IsCurrent(const internal::v1::RankMessage& message, int64_t epoch, int64_t job_sequence);

// "heartbeat", "job_done" ...: the label of what was dropped. From a closed set.
std::string KindOf(const internal::v1::RankMessage& message);

// kUnknown for numbers that are no google.rpc.Code.
absl::StatusCode ToStatusCode(int32_t code);

RunProgress ToRunProgress(const internal::v1::Progress& progress);

// The end of a job from all ranks' reports, by world rank. Rank 0's, unless another rank failed:
// what one rank could not do is not done.
RunOutcome MergeReports(const std::vector<internal::v1::JobDone>& reports);

}  // namespace cogwheel
