#pragma once

#include <ATen/core/Tensor.h>

#include "worker/sequence/sequence.h"

namespace cogwheel {

// Attention of this ring member's queries over the keys of all members. Q stays; the K/V blocks
// travel once around the ring, the next one while the present one is worked on. Empty blocks are
// neither sent nor attended to.
// q: [B, S/r, N/u, D], kv: [2, B, S/r, N/u, D], freed once it travelled on → [B, S/r, N/u, D].
at::Tensor RingAttention(at::Tensor q, at::Tensor kv, const SequenceContext& context);

}  // namespace cogwheel
