#pragma once

#include <string>

namespace cogwheel {

// Threads of ATen's kernels, from the calling thread on.
void SetCpuThreads(int count);

// "2.11.0"
std::string TorchVersion();

}  // namespace cogwheel
