// In place of the GPU's attention in a build without CUDA; no tensor can be on a GPU there.
#include <ATen/ATen.h>

#include "worker/kernels/attention.h"

namespace cogwheel {

AttentionPart AttendCuda(const at::Tensor& /*q*/, const at::Tensor& /*k*/,
                         const at::Tensor& /*v*/) {
  TORCH_CHECK(false, "built without CUDA");
}

}  // namespace cogwheel
