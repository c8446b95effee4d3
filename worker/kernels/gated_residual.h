#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

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

// The CPU's; the entry above has checked shapes.
void AddGatedCpu(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                 const RowGates& gates);

}  // namespace cogwheel
