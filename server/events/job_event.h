#pragma once

#include <cstdint>
#include <optional>

#include "cogwheel/v1/video_service.pb.h"
#include "server/job/job.h"
#include "server/job/run.h"

// A job, its snapshot and its last event as the public API shows them: here and nowhere else. Pure.
namespace cogwheel {

v1::JobState ToProto(JobState state);
// nullopt for UNSPECIFIED and for what the API does not know.
std::optional<JobState> FromProto(v1::JobState state);
v1::Stage ToProto(RunStage stage);
v1::Job ToProto(const Job& job);

// The job as it stands, in place of its events up to `sequence`.
v1::JobEvent SnapshotEvent(const Job& job, int64_t sequence);
// The last event of a finished job.
v1::JobEvent TerminalEvent(const Job& job);

}  // namespace cogwheel
