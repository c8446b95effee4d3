#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "server/dispatch/worker_group.h"

// What ranks say, read as what it means to the dispatcher. Pure.
namespace cogwheel {

// False for a message of another epoch or job, which is dropped. Heartbeats count whatever they
// carry.
bool IsCurrent(const internal::v1::RankMessage& message, int64_t epoch, int64_t job_sequence);

// "heartbeat", "job_done" ...: the label of what was dropped. From a closed set.
std::string KindOf(const internal::v1::RankMessage& message);
std::vector<std::string> AllKinds();

// kUnknown for numbers that are no google.rpc.Code.
absl::StatusCode ToStatusCode(int32_t code);

// INVALID_ARGUMENT for a stage that this build does not know and for steps that cannot be.
absl::StatusOr<RunProgress> ToRunProgress(const internal::v1::Progress& progress);
absl::Status CheckPreview(const internal::v1::Preview& preview);

// What the job's owner is to be told: at most 16 lines of at most 1 KiB.
std::vector<std::string> CheckedWarnings(const internal::v1::JobAnswer& answer);

// What decode and encode should cost, in steps; 0 for what cannot be.
double CheckedSteps(const internal::v1::JobAnswer& answer);

// The report itself; one whose numbers cannot be (not finite, negative) without them, and INTERNAL
// (BAD_REPORT) if it claims that the job is done.
internal::v1::JobDone CheckedReport(const internal::v1::JobDone& done);

// The rank left because ranks stood at different points of the program. Protocol 1 says it in
// prose.
bool IsOutOfStep(const internal::v1::JobDone& done, int protocol);

// OK, or the error that a job has by itself and would have again: memory that a rank has not got,
// values that are not finite.
absl::Status ErrorOfTheJob(const internal::v1::JobDone& done);

// The number of the message's field where it is one that this build does not know; 0 where it is
// empty.
int UnknownKind(const internal::v1::RankMessage& message);

// The end of a job from all ranks' reports, by world rank. Rank 0's, unless another rank failed:
// what one rank could not do is not done.
RunOutcome MergeReports(const std::vector<internal::v1::JobDone>& reports);

}  // namespace cogwheel
