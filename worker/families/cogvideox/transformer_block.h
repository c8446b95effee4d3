#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/linear.h"
#include "worker/kernels/qkv_heads.h"
#include "worker/sequence/exchange.h"
#include "worker/sequence/ring.h"

namespace cogwheel {

// One of the block's two halves starts with this: LayerNorm shared by both row kinds, and the
// linear layer that makes shift, scale and gate of each kind from the time embedding.
struct ModulatedNormWeights {
  LayerNormWeights norm;
  LinearWeights linear;  // [6E, time_embed_dim]: video shift, scale, gate, then the text's
};

struct BlockWeights {
  ModulatedNormWeights norm1, norm2;
  QkvWeights qkv;
  LinearWeights to_out;
  LinearWeights ff_in, ff_out;
};

// The shard of the joint sequence that all blocks of one forward work on. Borrowed.
struct BlockShard {
  const HeadExchange& exchange;
  const Ring& ring;
  const Rotation& rotation;                    // of this rank's video rows
  int64_t text_count = 0;                      // of this rank's rows
  int64_t head_count = 0;                      // N
  std::function<void()> layer_begins = [] {};  // called before each block
};

// All blocks: CogVideoXBlock.forward (diffusers models/transformers/cogvideox_transformer_3d.py),
// one after the other, on one shard: rows [B, S_local, E], text first, are updated in place. time:
// silu of the embedding, [1, time_embed_dim].
void RunBlocks(at::Tensor& rows, const at::Tensor& time, const std::vector<BlockWeights>& blocks,
               const BlockShard& shard);

}  // namespace cogwheel
