#pragma once

#include <string>

#include <absl/status/status.h>

#include "worker/pipeline/failure.h"

// What a failure of the tensor world is outside it. Pure.
namespace cogwheel {

// kInvalid → INVALID_ARGUMENT, kOutOfMemory → RESOURCE_EXHAUSTED, kIo, kComm and kOutOfStep →
// UNAVAILABLE, kCancelled → CANCELLED (ABORTED when the group is stopping), kNotFinite and
// kInternal → INTERNAL.
absl::Status ToStatus(const Failure& failure);

// JobDone's reason (proto/contract/protocol.h) for a status from here; "" for most.
std::string ReasonOf(const absl::Status& status);

// All ranks have left the job, at one point or each where it was: the group goes on.
bool LeftTogether(const absl::Status& status);
void MarkLeftTogether(absl::Status& status);

}  // namespace cogwheel
