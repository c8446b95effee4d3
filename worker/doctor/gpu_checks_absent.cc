#include "worker/doctor/gpu_checks.h"

namespace cogwheel {

Findings GpuFacts() { return {{FindingLevel::kFact, "gpus", "built without CUDA", ""}}; }

Findings CheckGpus(bool asked, int /*ranks*/) {
  if (!asked) return {};
  return {{FindingLevel::kFault, "gpu", "device cuda: this program is built without CUDA",
           "from the sources, scripts/setup --cuda && scripts/build --cuda; or --device cpu"}};
}

std::optional<GpuRoom> FullestGpu(int /*ranks*/) { return std::nullopt; }

}  // namespace cogwheel
