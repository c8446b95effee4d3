#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/kernels/layer_norm_modulate.h"

namespace cogwheel {

// Gates of a joint shard by row kind.
struct RowGates {
  at::Tensor text;   // [B, E]; may be undefined where there are no text rows
  at::Tensor video;  // [B, E]
};

// residual += gate · update by row kind, in place; there is no "1 +". The first text_count rows are
// text. residual, update: [B, S, E]. `update` is scratch afterwards. In half precision the product
// and the sum each round once. Follows CogVideoXBlock.forward (diffusers
// models/transformers/cogvideox_transformer_3d.py).
void AddGated(at::Tensor& residual, at::Tensor& update, int64_t text_count, const RowGates& gates);

// AddGated, then LayerNormModulate of the sum → [B, S, E]: where one half of a block ends and the
// next begins. One pass over the rows on a GPU.
at::Tensor AddGatedNormModulate(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                                const RowGates& gates, const LayerNormWeights& norm,
                                const RowModulation& modulation);

// By ATen's operations, on any device, and the GPU's kernel, which computes in fp32 and rounds
// once; the entries above have checked shapes.
void AddGatedAten(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                  const RowGates& gates);
void AddGatedCuda(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                  const RowGates& gates);
at::Tensor AddGatedNormModulateCuda(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                                    const RowGates& gates, const LayerNormWeights& norm,
                                    const RowModulation& modulation);

}  // namespace cogwheel
