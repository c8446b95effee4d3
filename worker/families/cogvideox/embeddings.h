#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/rope.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// [cos(v e) | sin(v e)], e_k = 10000^(−k / (width/2)): [1, width] fp32 on the CPU. For the timestep
// and for ofs. Follows Timesteps with flip_sin_to_cos (diffusers models/embeddings.py).
at::Tensor SinusoidVector(double value, int64_t width);

// The fixed table that models without rotary embeddings add to their video tokens: E/4 channels of
// the frame, 3E/8 of the column, 3E/8 of the row, each code sin | cos. [tokens, E] fp64 on the CPU.
// Follows get_3d_sincos_pos_embed (diffusers models/embeddings.py).
at::Tensor SinCosTable(const TransformerConfig& config, const PatchGrid& grid, Range tokens);

}  // namespace cogwheel
