#pragma once

#include <string>

// Which GPUs there are. No torch.
namespace cogwheel {

struct GpuCount {
  int count = 0;
  std::string why_none;  // "built without CUDA", "no CUDA device"; empty when there are some
  std::string way_out;   // commands, where there is one
};

// GPUs that this process can use.
GpuCount CountGpus();

// As the driver says it, "NVIDIA H200"; empty when there is no such device.
std::string GpuName(int device_idx);

}  // namespace cogwheel
