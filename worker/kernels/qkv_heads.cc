#include "worker/kernels/qkv_heads.h"

#include <utility>

#include <ATen/ATen.h>

#include "worker/kernels/check_shape.h"

namespace cogwheel {

Heads ProjectHeads(at::Tensor rows, const QkvWeights& weights, int64_t head_count,
                   int64_t text_count, const Rotation& rotation) {
  TORCH_CHECK(rows.dim() == 3, "rows are ", rows.sizes(), ", expected [B, S, E]");
  const int64_t E = rows.size(2);
  CheckShape(weights.linear.weight, {3 * E, E}, "qkv weight");
  TORCH_CHECK(head_count > 0 && E % head_count == 0, head_count, " heads of ", E, " channels");
  return rows.is_cuda()
             ? ProjectHeadsCuda(std::move(rows), weights, head_count, text_count, rotation)
             : ProjectHeadsAten(std::move(rows), weights, head_count, text_count, rotation);
}

}  // namespace cogwheel
