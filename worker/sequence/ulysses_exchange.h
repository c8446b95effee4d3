#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/sequence/sequence.h"

namespace cogwheel {

// Rows of the joint sequence that a ring member's ulysses group holds together: its K/V block.
Range RingBlock(const SequenceContext& context, int ring_rank);

struct ScatteredHeads {
  at::Tensor q;   // [B, S/r, N/u, D], the last stride 1
  at::Tensor kv;  // [2, B, S/r, N/u, D]: as it travels around the ring
};

// All-to-all within the ulysses group: heads are packed to be sent and received in their places.
// With offset(i) the first row of member i within the ring block, s one of its rows, and heads(j)
// the heads of member j (SplitHeads; rows and heads may be empty):
//   out[b][offset(i) + s][n] on member j  =  in[b][s][heads(j).begin + n] on member i
// qkv: three of [B, S/(u·r), N, D]; freed once packed. A member alone keeps q as it is.
ScatteredHeads ScatterHeads(std::array<at::Tensor, 3> qkv, const SequenceContext& context);

// The way back, with the same names:
//   out[b][s][heads(j).begin + n] on member i  =  attended[b][offset(i) + s][n] on member j
// attended: [B, S/r, N/u, D] → [B, S/(u·r), N, D]; head_count is N.
at::Tensor GatherHeads(at::Tensor attended, const SequenceContext& context, int64_t head_count);

}  // namespace cogwheel
