#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace cogwheel {

struct LayerNormWeights {
  at::Tensor weight, bias;  // [E]
  double epsilon = 1e-5;
};

// Modulation of a joint shard: its text rows take one pair, its video rows the other.
struct RowModulation {
  at::Tensor text_shift, text_scale;    // [B, E]; may be undefined where there are no text rows
  at::Tensor video_shift, video_scale;  // [B, E]
};

// LayerNorm over the last axis, then · (1 + scale) + shift by row kind: the first text_count rows
// are text, the rest video; either may be none. rows: [B, S, E] → [B, S, E], same dtype.
// In half precision the norm (fp32 statistics), 1 + scale, the product and the sum each round once.
// Follows CogVideoXLayerNormZero and AdaLayerNorm (diffusers models/normalization.py).
at::Tensor LayerNormModulate(const at::Tensor& rows, int64_t text_count,
                             const LayerNormWeights& norm, const RowModulation& modulation);

// Throws unless shapes, dtype and device fit.
void CheckNormModulate(const at::Tensor& rows, int64_t text_count, const LayerNormWeights& norm,
                       const RowModulation& modulation);

// By ATen's operations, on any device, and the GPU's kernel, which computes in fp32 and rounds
// once; the entry above has checked shapes.
at::Tensor LayerNormModulateAten(const at::Tensor& rows, int64_t text_count,
                                 const LayerNormWeights& norm, const RowModulation& modulation);
at::Tensor LayerNormModulateCuda(const at::Tensor& rows, int64_t text_count,
                                 const LayerNormWeights& norm, const RowModulation& modulation);

}  // namespace cogwheel
