#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/parallel/sequence.h"

namespace cogwheel {

// Rows of the joint sequence that a ring member's ulysses group holds together: its K/V block.
Range RingBlock(const SequenceContext& context, int ring_rank);

// All-to-all within the ulysses group, q, k and v in one message per peer. With rows(i) the shard
// of member i and heads(j) the heads of member j (SplitHeads; both may be empty):
//   out[b][offset(i) + s][n] on member j  =  in[b][s][heads(j).begin + n] on member i
// q, k, v: [B, S/(u·r), N, D] → three of [B, S/r, N/u, D].
std::array<at::Tensor, 3> ScatterHeads(const std::array<at::Tensor, 3>& qkv,
                                       const SequenceContext& context);

// The way back: [B, S/r, N/u, D] → [B, S/(u·r), N, D]; head_count is N.
at::Tensor GatherHeads(const at::Tensor& out, const SequenceContext& context, int64_t head_count);

}  // namespace cogwheel
