#pragma once

#include "base/finding.h"

namespace cogwheel {

// The GPUs that this process sees, their driver and runtime.
Findings GpuFacts();

// What would stop `ranks` ranks, one a GPU; empty where none is asked for and none is there.
// `asked`: by --device cuda.
Findings CheckGpus(bool asked, int ranks);

}  // namespace cogwheel
