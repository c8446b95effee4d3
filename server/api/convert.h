#pragma once

#include <absl/status/status.h>

#include "cogwheel/v1/video_service.pb.h"
#include "server/job/job.h"

// Jobs as the public API shows them. Pure.
namespace cogwheel {

v1::JobState ToProto(JobState state);
JobState FromProto(v1::JobState state);  // of a known state
v1::Job ToProto(const Job& job);

// OK, or a finished job's error.
absl::Status StatusOf(const Job& job);

// The job as it stands, in place of events up to `sequence`.
v1::JobEvent SnapshotEvent(const Job& job, int64_t sequence);
// The last event of a finished job.
v1::JobEvent TerminalEvent(const Job& job);

}  // namespace cogwheel
