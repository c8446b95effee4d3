#include "worker/model/transformer_block.h"

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

at::Tensor Heads(const at::Tensor& rows, const LinearWeights& linear, int64_t head_count) {
  return Linear(rows, linear).unflatten(-1, {head_count, -1});  // [B, S, E] → [B, S, N, D]
}

// normed: [B, S, E], given up once the heads are made.
at::Tensor Attention(at::Tensor normed, const BlockWeights& weights, const BlockContext& context) {
  const int64_t N = context.head_count, text_count = context.text_count;
  at::Tensor q = Heads(normed, weights.to_q, N);  // [B, S, N, D]
  at::Tensor k = Heads(normed, weights.to_k, N);
  at::Tensor v = Heads(normed, weights.to_v, N);
  normed.reset();
  q = QkNormRope(q, text_count, weights.norm_q, context.rotation);
  k = QkNormRope(k, text_count, weights.norm_k, context.rotation);
  // Handed over, not lent: they are freed once packed, as the plan counts.
  const at::Tensor out = SequenceAttention(std::move(q), std::move(k), std::move(v),
                                           context.sequence);  // [B, S, N, D]
  return Linear(out.flatten(2), weights.to_out);               // [B, S, E]
}

}  // namespace

void RunBlock(at::Tensor& rows, const at::Tensor& time, const BlockWeights& weights,
              const BlockContext& context) {
  const int64_t B = rows.size(0), text_count = context.text_count;
  {
    const Modulation m = Modulate(time, weights.norm1.linear, B);
    at::Tensor update = Attention(LayerNormModulate(rows, text_count, weights.norm1.norm, m.rows),
                                  weights, context);
    AddGated(rows, update, text_count, m.gates);
  }
  const Modulation m = Modulate(time, weights.norm2.linear, B);
  const at::Tensor hidden =
      LinearGelu(LayerNormModulate(rows, text_count, weights.norm2.norm, m.rows),
                 weights.ff_in);                       // [B, S, 4E]
  at::Tensor update = Linear(hidden, weights.ff_out);  // [B, S, E]
  AddGated(rows, update, text_count, m.gates);
}

}  // namespace cogwheel
