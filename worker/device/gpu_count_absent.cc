#include "worker/device/gpu_count.h"

namespace cogwheel {

GpuCount CountGpus() { return {.why_none = "built without CUDA"}; }

std::string GpuName(int /*device_idx*/) { return ""; }

}  // namespace cogwheel
