#pragma once

#include <functional>

#include <absl/status/status.h>

#include "worker/pipeline/failure.h"

// The border between the tensor world, which throws, and the rest, which returns statuses.
namespace cogwheel {

// kInvalid → INVALID_ARGUMENT, kOutOfMemory → RESOURCE_EXHAUSTED, kComm → UNAVAILABLE,
// kCancelled → CANCELLED (ABORTED when the group is stopping), kInternal → INTERNAL.
absl::Status ToStatus(const Failure& failure);

// Runs `work` and turns whatever it throws into a status. No exception leaves.
absl::Status Guard(const std::function<void()>& work);

}  // namespace cogwheel
