#pragma once

#include "cogwheel/config/v1/config.pb.h"
#include "worker/settings.h"

namespace cogwheel {

// `cogwheel-worker --doctor`, which `cogwheel doctor` starts: prints what it finds out about the
// settings, GPUs and checkpoint as lines of ToJsonLine, ranks or not. Returns the exit code: 0,
// whatever was found.
int Diagnose(config::v1::WorkerConfig config, const Machine& machine);

}  // namespace cogwheel
