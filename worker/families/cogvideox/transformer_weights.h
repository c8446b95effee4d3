#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/transformer_block.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {

struct TransformerWeights {
  LinearWeights patch_proj;  // [E, C_in·pt·p·p], also where the checkpoint has a convolution
  LinearWeights text_proj;
  at::Tensor pos_embedding;      // [1, text + video, E]; undefined without a learned table
  LinearWeights time_1, time_2;  // of the timestep
  LinearWeights ofs_1, ofs_2;    // undefined without ofs_embed_dim
  std::vector<BlockWeights> blocks;
  LayerNormWeights norm_final;
  ModulatedNormWeights norm_out;  // linear: [2E, time_embed_dim], shift then scale
  LinearWeights proj_out;
};

// Loads every tensor of TransformerTensors(config). Throws std::invalid_argument for a missing one
// or another shape.
TransformerWeights LoadTransformerWeights(const TransformerConfig& config,
                                          const WeightSource& weights, at::Device device,
                                          at::ScalarType dtype);

}  // namespace cogwheel
