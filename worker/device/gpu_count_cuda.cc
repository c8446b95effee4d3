#include <cuda_runtime_api.h>

#include "worker/device/gpu_count.h"

namespace cogwheel {

GpuCount CountGpus() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaSuccess && count > 0) return {.count = count};
  const std::string detail = result == cudaSuccess ? "" : cudaGetErrorString(result);
  return {.why_none = "no CUDA device" + (detail.empty() ? "" : " (" + detail + ")")};
}

std::string GpuName(int device_idx) {
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, device_idx) != cudaSuccess) return "";
  return properties.name;
}

}  // namespace cogwheel
