// In place of the GPU's operations in a build without CUDA. No tensor can be on a GPU there, so
// nothing here is ever reached.
#include <ATen/ATen.h>

#include "worker/kernels/gated_residual.h"
#include "worker/kernels/norm_silu.h"
#include "worker/kernels/qkv_heads.h"

namespace cogwheel {
namespace {

[[noreturn]] void Absent() { TORCH_CHECK(false, "built without CUDA"); }

}  // namespace

at::Tensor LayerNormModulateCuda(const at::Tensor& /*rows*/, int64_t /*text_count*/,
                                 const LayerNormWeights& /*norm*/,
                                 const RowModulation& /*modulation*/) {
  Absent();
}
void AddGatedCuda(at::Tensor& /*residual*/, at::Tensor& /*update*/, int64_t /*text_count*/,
                  const RowGates& /*gates*/) {
  Absent();
}
at::Tensor AddGatedNormModulateCuda(at::Tensor& /*residual*/, at::Tensor& /*update*/,
                                    int64_t /*text_count*/, const RowGates& /*gates*/,
                                    const LayerNormWeights& /*norm*/,
                                    const RowModulation& /*modulation*/) {
  Absent();
}
at::Tensor LinearGeluCuda(const at::Tensor& /*x*/, const LinearWeights& /*linear*/) { Absent(); }
Heads ProjectHeadsCuda(at::Tensor /*rows*/, const QkvWeights& /*weights*/, int64_t /*head_count*/,
                       int64_t /*text_count*/, const Rotation& /*rotation*/) {
  Absent();
}

at::Tensor NormSiluPaddedCuda(const at::Tensor& /*x*/, const GroupNormWeights& /*norm*/,
                              const LatentModulation& /*modulation*/, int64_t /*pad*/) {
  Absent();
}

}  // namespace cogwheel
