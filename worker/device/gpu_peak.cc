#include "worker/device/gpu_peak.h"

namespace cogwheel {
namespace {

struct Peak {
  std::string_view name_begin;
  double half, fp32;
};

// The first that fits: what begins alike stands from long to short.
constexpr Peak kPeaks[] = {
    {"NVIDIA H200 NVL", 835.5e12, 60e12}, {"NVIDIA H200", 989.4e12, 67e12},
    {"NVIDIA GH200", 989.4e12, 67e12},    {"NVIDIA H100 PCIe", 756e12, 51e12},
    {"NVIDIA H100 NVL", 835.5e12, 60e12}, {"NVIDIA H100 80GB HBM3", 989.4e12, 67e12},
    {"NVIDIA A100", 312e12, 19.5e12},     {"NVIDIA L40S", 362e12, 91.6e12},
    {"NVIDIA L4", 121e12, 30.3e12},
};

}  // namespace

std::optional<double> PeakOperationsPerSecond(std::string_view device_name, bool half) {
  if (device_name.find(" MIG ") != std::string_view::npos) return std::nullopt;
  for (const Peak& peak : kPeaks) {
    if (!device_name.starts_with(peak.name_begin)) continue;
    const std::string_view rest = device_name.substr(peak.name_begin.size());
    if (rest.empty() || rest.front() == ' ' || rest.front() == '-') {
      return half ? peak.half : peak.fp32;
    }
  }
  return std::nullopt;
}

}  // namespace cogwheel
