#include "worker/kernels/qk_norm_rope.h"

#include <ATen/ATen.h>

#include "worker/kernels/check_shape.h"

namespace cogwheel {

at::Tensor QkNormRope(const at::Tensor& heads, int64_t text_count, const LayerNormWeights& norm,
                      const Rotation& rotation) {
  TORCH_CHECK(heads.dim() == 4 && heads.is_contiguous(), "heads are ", heads.sizes(),
              ", expected contiguous [B, S, N, D]");
  const int64_t S = heads.size(1), D = heads.size(3);
  TORCH_CHECK(text_count >= 0 && text_count <= S, text_count, " text rows of ", S);
  CheckShape(norm.weight, {D}, "norm weight");
  CheckShape(norm.bias, {D}, "norm bias");
  CheckLike(norm.weight, heads, "norm weight");
  if (rotation.cos.defined()) {
    TORCH_CHECK(D % 2 == 0, "head dim ", D, " is odd: a rotation turns pairs");
    CheckShape(rotation.cos, {S - text_count, D}, "cos");
    CheckShape(rotation.sin, {S - text_count, D}, "sin");
    TORCH_CHECK(rotation.cos.scalar_type() == at::kFloat, "cos is not fp32");
    TORCH_CHECK(rotation.sin.scalar_type() == at::kFloat, "sin is not fp32");
  }
  return QkNormRopeAten(heads, text_count, norm, rotation);
}

}  // namespace cogwheel
