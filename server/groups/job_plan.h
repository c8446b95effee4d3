#pragma once

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "server/dispatch/worker_group.h"

namespace cogwheel {

// The order as ranks get it; without the image's bytes.
internal::v1::JobPlan ToJobPlan(const AttemptOrder& order);

}  // namespace cogwheel
