#include "worker/device/gpu_count.h"

namespace cogwheel {

GpuCount CountGpus() {
  return {.why_none = "built without CUDA",
          .way_out = "from the sources, scripts/setup --cuda && scripts/build --cuda"};
}

std::string GpuName(int /*device_idx*/) { return ""; }

}  // namespace cogwheel
