#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/kernels/heads.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/linear.h"
#include "worker/kernels/qk_norm_rope.h"

namespace cogwheel {

struct QkvWeights {
  LinearWeights linear;             // [3E, E]: q, k, v one after the other
  LayerNormWeights norm_q, norm_k;  // [D]
};

// The heads of a shard's rows [B, S, E]: the projections, then QkNormRope of q and k. `rows` is
// given up once the heads are made: hand it over with std::move.
Heads ProjectHeads(at::Tensor rows, const QkvWeights& weights, int64_t head_count,
                   int64_t text_count, const Rotation& rotation);

// By ATen's operations, on any device: three projections. The GPU's: one, q and k worked on in
// place between the others' columns, so the heads are strided.
Heads ProjectHeadsAten(at::Tensor rows, const QkvWeights& weights, int64_t head_count,
                       int64_t text_count, const Rotation& rotation);
Heads ProjectHeadsCuda(at::Tensor rows, const QkvWeights& weights, int64_t head_count,
                       int64_t text_count, const Rotation& rotation);

}  // namespace cogwheel
