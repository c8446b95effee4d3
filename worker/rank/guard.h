#pragma once

#include <functional>

#include <absl/status/status.h>

#include "worker/rank/failure_status.h"

// The border between the tensor world, which throws, and the rest, which returns statuses.
namespace cogwheel {

// Runs `work` and turns whatever it throws into a status. No exception leaves.
absl::Status Guard(const std::function<void()>& work);

}  // namespace cogwheel
