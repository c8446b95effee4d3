#pragma once

#include <cstdint>
#include <optional>

#include "base/finding.h"

namespace cogwheel {

// The GPUs that this process sees, their driver and runtime.
Findings GpuFacts();

// What would stop `ranks` ranks, one a GPU; empty where none is asked for and none is there.
// `asked`: by --device cuda.
Findings CheckGpus(bool asked, int ranks);

// The GPU of the first so many that has least memory free.
struct GpuRoom {
  int device = 0;
  int64_t free_bytes = 0;
};
std::optional<GpuRoom> FullestGpu(int ranks);

}  // namespace cogwheel
