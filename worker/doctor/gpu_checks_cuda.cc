#include <algorithm>
#include <cstdlib>
#include <string>

#include <cuda_runtime_api.h>

#include "worker/doctor/gpu_checks.h"

namespace cogwheel {
namespace {

// Of cmake/Cuda.cmake: the oldest architecture that there is code for.
constexpr int kOldestMajor = 8;
constexpr double kMuchInUse = 0.1;  // of a GPU's memory, before any of our ranks runs

// 13000 -> "13.0"
std::string VersionText(int version) {
  if (version == 0) return "none";
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int DriverVersion() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int RuntimeVersion() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

Finding Fault(const std::string& what, const std::string& way_out) {
  return {FindingLevel::kFault, "gpu", what, way_out};
}

std::string NameOf(int device, const cudaDeviceProp& properties) {
  return "GPU " + std::to_string(device) + " (" + properties.name + ")";
}

Finding NoGpus(cudaError_t result) {
  const std::string versions = "driver for CUDA " + VersionText(DriverVersion()) +
                               ", this program is of CUDA " + VersionText(RuntimeVersion());
  const std::string what = std::string("device cuda: ") +
                           cudaGetErrorString(result == cudaSuccess ? cudaErrorNoDevice : result);
  if (DriverVersion() < RuntimeVersion()) {
    return Fault(what + ": " + versions,
                 "install NVIDIA's driver 580 or newer, in a container also its toolkit (--gpus "
                 "all), or --device cpu");
  }
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return Fault(what + ": " + versions + ", CUDA_VISIBLE_DEVICES is " +
                   (visible == nullptr ? "not set" : "'" + std::string(visible) + "'"),
               "let the process see a GPU (nvidia-smi; --gpus all; CUDA_VISIBLE_DEVICES), or "
               "--device cpu");
}

// Takes a context on the device: memory that is free is known only inside one.
void CheckGpu(int device, Findings& findings) {
  cudaDeviceProp properties{};
  if (const cudaError_t result = cudaGetDeviceProperties(&properties, device);
      result != cudaSuccess) {
    findings.push_back(Fault("GPU " + std::to_string(device) + ": " + cudaGetErrorString(result),
                             "see dmesg for Xid lines; nvidia-smi -r or a restart"));
    return;
  }
  const std::string name = NameOf(device, properties);
  if (properties.major < kOldestMajor) {
    findings.push_back(Fault(name + " has compute capability " + std::to_string(properties.major) +
                                 "." + std::to_string(properties.minor) + ", below 8.0",
                             "take an Ampere GPU or a later one, or --device cpu"));
    return;
  }
  size_t free_bytes = 0, bytes = 0;
  cudaSetDevice(device);
  if (const cudaError_t result = cudaMemGetInfo(&free_bytes, &bytes); result != cudaSuccess) {
    findings.push_back(Fault(name + " cannot be used: " + cudaGetErrorString(result),
                             "end what holds it (nvidia-smi), or set its compute mode to default "
                             "(nvidia-smi -c 0)"));
    return;
  }
  const double in_use = static_cast<double>(bytes - free_bytes);
  const std::string memory = BytesText(static_cast<double>(free_bytes)) + " free of " +
                             BytesText(static_cast<double>(bytes));
  if (in_use > kMuchInUse * static_cast<double>(bytes)) {
    findings.push_back({FindingLevel::kWarning, "gpu", name + " is in use: " + memory,
                        "end what holds it (nvidia-smi)"});
  } else {
    findings.push_back({FindingLevel::kOk, "gpu", name + ": " + memory, ""});
  }
}

// The first pair of the ranks' GPUs that cannot read each other's memory.
void CheckPeers(int ranks, Findings& findings) {
  for (int a = 0; a < ranks; ++a) {
    for (int b = a + 1; b < ranks; ++b) {
      int can = 0;
      if (cudaDeviceCanAccessPeer(&can, a, b) == cudaSuccess && can == 1) continue;
      findings.push_back({FindingLevel::kWarning, "gpu links",
                          "GPUs " + std::to_string(a) + " and " + std::to_string(b) +
                              " cannot reach each other's memory: NCCL goes through the host's",
                          "nvidia-smi topo -m; switch off ACS or IOMMU for them, or use GPUs with "
                          "NVLink"});
      return;
    }
  }
}

}  // namespace

Findings GpuFacts() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  std::string text = "CUDA " + VersionText(RuntimeVersion()) + ", driver for CUDA " +
                     VersionText(DriverVersion()) + ", " + std::to_string(count) + " GPUs";
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) continue;
    text += ", " + std::to_string(device) + ": " + properties.name + " " +
            BytesText(static_cast<double>(properties.totalGlobalMem));
  }
  return {{FindingLevel::kFact, "gpus", text, ""}};
}

std::optional<GpuRoom> FullestGpu(int ranks) {
  std::optional<GpuRoom> fullest;
  for (int device = 0; device < ranks; ++device) {
    size_t free_bytes = 0, bytes = 0;
    if (cudaSetDevice(device) != cudaSuccess ||
        cudaMemGetInfo(&free_bytes, &bytes) != cudaSuccess) {
      return std::nullopt;
    }
    const auto room = static_cast<int64_t>(free_bytes);
    if (!fullest.has_value() || room < fullest->free_bytes) fullest = GpuRoom{device, room};
  }
  return fullest;
}

Findings CheckGpus(bool asked, int ranks) {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result != cudaSuccess || count == 0) {
    return asked ? Findings{NoGpus(result)} : Findings{};
  }
  Findings findings;
  const int used = std::min(ranks, count);
  for (int device = 0; device < used; ++device) CheckGpu(device, findings);
  CheckPeers(used, findings);
  return findings;
}

}  // namespace cogwheel
