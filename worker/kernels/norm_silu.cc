#include "worker/kernels/norm_silu.h"

#include <ATen/ATen.h>

#include "worker/kernels/check_shape.h"

namespace cogwheel {

at::Tensor NormSiluPadded(const at::Tensor& x, const GroupNormWeights& norm,
                          const LatentModulation& modulation, int64_t pad) {
  TORCH_CHECK(x.dim() == 5 && x.numel() > 0, "x is ", x.sizes(), ", expected [B, C, T, H, W]");
  const int64_t B = x.size(0), C = x.size(1);
  TORCH_CHECK(norm.groups > 0 && C % norm.groups == 0, norm.groups, " groups of ", C, " channels");
  CheckShape(norm.weight, {C}, "norm weight");
  CheckShape(norm.bias, {C}, "norm bias");
  CheckLike(norm.weight, x, "norm weight");
  if (modulation.scale.defined()) {
    TORCH_CHECK(modulation.scale.dim() == 5 && modulation.scale.size(0) == B &&
                    modulation.scale.size(1) == C,
                "scale is ", modulation.scale.sizes(), " for ", x.sizes());
    CheckShape(modulation.shift, modulation.scale.sizes(), "shift");
    CheckLike(modulation.scale, x, "scale");
    CheckLike(modulation.shift, x, "shift");
  }
  return x.is_cuda() ? NormSiluPaddedCuda(x, norm, modulation, pad)
                     : NormSiluPaddedAten(x, norm, modulation, pad);
}

}  // namespace cogwheel
