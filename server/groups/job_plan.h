#pragma once

#include <absl/status/statusor.h>

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "server/dispatch/worker_group.h"

namespace cogwheel {

// The order as ranks get it; without the image's bytes. UNIMPLEMENTED (NOT_UNDERSTOOD) for a value
// that this build has no meaning for: a request that another release accepted.
absl::StatusOr<internal::v1::JobPlan> ToJobPlan(const AttemptOrder& order);

}  // namespace cogwheel
