#include "worker/families/model.h"

namespace cogwheel {

at::Device DeviceOf(const LoadOptions& options) {
  if (options.device == DeviceKind::kCpu) return at::kCPU;
  return {at::kCUDA, static_cast<c10::DeviceIndex>(options.device_idx)};
}

at::ScalarType ScalarTypeOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBf16:
      return at::kBFloat16;
    case Dtype::kFp16:
      return at::kHalf;
    case Dtype::kFp32:
      break;
  }
  return at::kFloat;
}

}  // namespace cogwheel
