#include <ATen/ATen.h>

#include "worker/kernels/qkv_heads.h"

namespace cogwheel {

Heads ProjectHeadsAten(at::Tensor rows, const QkvWeights& weights, int64_t head_count,
                       int64_t text_count, const Rotation& rotation) {
  const int64_t E = rows.size(2);
  const auto project = [&](int64_t part) {
    const LinearWeights third = {.weight = weights.linear.weight.narrow(0, part * E, E),
                                 .bias = weights.linear.bias.narrow(0, part * E, E)};
    return Linear(rows, third).unflatten(-1, {head_count, -1});  // [B, S, N, D]
  };
  Heads heads = {.q = project(0), .k = project(1), .v = project(2)};
  rows.reset();
  heads.q = QkNormRope(heads.q, text_count, weights.norm_q, rotation);
  heads.k = QkNormRope(heads.k, text_count, weights.norm_k, rotation);
  return heads;
}

}  // namespace cogwheel
