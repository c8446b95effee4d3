#include "worker/device/cpu_threads.h"

#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

namespace cogwheel {

void SetCpuThreads(int count) { at::set_num_threads(count); }

std::string TorchVersion() { return TORCH_VERSION; }

}  // namespace cogwheel
