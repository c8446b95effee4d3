#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/kernels/layer_norm_modulate.h"

namespace cogwheel {

// Rotation of a shard's video rows: each angle twice, for the adjacent channels 2i and 2i+1.
// Both undefined: no rotation.
struct Rotation {
  at::Tensor cos, sin;  // [V, D] fp32
};

// LayerNorm over the D channels of each head, then the rotation of the video rows:
//   out[2i] = x[2i] cos − x[2i+1] sin,  out[2i+1] = x[2i+1] cos + x[2i] sin
// in fp32 with one rounding. The first text_count rows are normed only.
// heads: [B, S, N, D], contiguous → same shape and dtype.
// Follows CogVideoXAttnProcessor2_0 and apply_rotary_emb with use_real_unbind_dim −1 (diffusers
// models/attention_processor.py, models/embeddings.py).
at::Tensor QkNormRope(const at::Tensor& heads, int64_t text_count, const LayerNormWeights& norm,
                      const Rotation& rotation);

// By ATen's operations, on any device; the entry above has checked shapes.
at::Tensor QkNormRopeAten(const at::Tensor& heads, int64_t text_count, const LayerNormWeights& norm,
                          const Rotation& rotation);

}  // namespace cogwheel
