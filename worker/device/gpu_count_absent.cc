#include "worker/device/gpu_count.h"

namespace cogwheel {

GpuCount CountGpus() { return {.why_none = "built without CUDA"}; }

}  // namespace cogwheel
