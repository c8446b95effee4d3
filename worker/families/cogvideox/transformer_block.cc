#include "worker/families/cogvideox/transformer_block.h"

#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "worker/kernels/gated_residual.h"

namespace cogwheel {
namespace {

struct Modulation {
  RowModulation rows;
  RowGates gates;
};

// The time embedding is the same for the whole batch, so the product has one row.
Modulation Modulate(const at::Tensor& time, const LinearWeights& linear, int64_t batch) {
  const std::vector<at::Tensor> parts =
      Linear(time, linear).expand({batch, -1}).chunk(6, 1);  // 6 x [B, E]
  return {.rows = {.text_shift = parts[3],
                   .text_scale = parts[4],
                   .video_shift = parts[0],
                   .video_scale = parts[1]},
          .gates = {.text = parts[5], .video = parts[2]}};
}

// normed: [B, S/(u·r), E], given up once the heads are made. sequence/geometry.h has the picture.
at::Tensor Attention(at::Tensor normed, const BlockWeights& weights, const BlockShard& shard) {
  Heads h = ProjectHeads(std::move(normed), weights.qkv, shard.head_count, shard.text_count,
                         shard.rotation);            // q k v  [B, S/(u·r), N,   D]   own rows
  h = shard.exchange.ToHeads(std::move(h));          //        [B, S/r,     N/u, D]   own heads
  at::Tensor out = shard.ring.Attend(std::move(h));  //        K/V blocks travel, parts merge
  out = shard.exchange.ToRows(std::move(out));       //        [B, S/(u·r), N,   D]
  return Linear(out.flatten(2), weights.to_out);     //        [B, S/(u·r), E]
}

// normed: [B, S, E], given up once the hidden rows are made.
at::Tensor FeedForward(at::Tensor normed, const BlockWeights& weights) {
  const at::Tensor hidden = LinearGelu(normed, weights.ff_in);  // [B, S, 4E]
  normed.reset();
  return Linear(hidden, weights.ff_out);
}

}  // namespace

// Each half of a block is a norm, its work and a gated sum; a sum and the norm that follows are one
// operation.
void RunBlocks(at::Tensor& rows, const at::Tensor& time, const std::vector<BlockWeights>& blocks,
               const BlockShard& shard) {
  const int64_t B = rows.size(0), text_count = shard.text_count;
  Modulation first = Modulate(time, blocks.front().norm1.linear, B);
  at::Tensor normed = LayerNormModulate(rows, text_count, blocks.front().norm1.norm, first.rows);
  for (size_t i = 0; i < blocks.size(); ++i) {
    shard.layer_begins();
    const BlockWeights& block = blocks[i];
    at::Tensor update = Attention(std::move(normed), block, shard);
    const Modulation second = Modulate(time, block.norm2.linear, B);
    normed =
        AddGatedNormModulate(rows, update, text_count, first.gates, block.norm2.norm, second.rows);
    update = FeedForward(std::move(normed), block);
    if (i + 1 == blocks.size()) {
      AddGated(rows, update, text_count, second.gates);
      return;
    }
    const ModulatedNormWeights& next = blocks[i + 1].norm1;
    first = Modulate(time, next.linear, B);
    normed = AddGatedNormModulate(rows, update, text_count, second.gates, next.norm, first.rows);
  }
}

}  // namespace cogwheel
