#pragma once

#include <functional>

#include <absl/status/status.h>

#include "worker/pipeline/failure.h"

// The border between the tensor world, which throws, and the rest, which returns statuses.
namespace cogwheel {

// kInvalid → INVALID_ARGUMENT, kOutOfMemory → RESOURCE_EXHAUSTED, kIo, kComm and kOutOfStep →
// UNAVAILABLE, kCancelled → CANCELLED (ABORTED when the group is stopping), kInternal → INTERNAL.
absl::Status ToStatus(const Failure& failure);
// Of a status from here: the ranks stood at different points of the program (a payload's name).
inline constexpr char kOutOfStep[] = "cogwheel/out_of_step";
inline bool IsOutOfStep(const absl::Status& status) {
  return status.GetPayload(kOutOfStep).has_value();
}

// Runs `work` and turns whatever it throws into a status. No exception leaves.
absl::Status Guard(const std::function<void()>& work);

}  // namespace cogwheel
