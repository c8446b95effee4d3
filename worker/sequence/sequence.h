#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/sequence/mesh.h"
#include "worker/sequence/shard.h"

namespace cogwheel {

// A rank's place in the joint sequence of one job, and the two communicators that attention needs.
// Both exist at every size (size 1 talks to itself). Borrowed; owned by the denoise loop.
struct SequenceContext {
  int64_t text_count = 0;   // T, global
  int64_t video_count = 0;  // F·Y·X, global
  int ring_size = 1, ring_rank = 0;
  int ulysses_size = 1, ulysses_rank = 0;
  Communicator* ring = nullptr;     // members in ring order: same cfg and ulysses coordinate
  Communicator* ulysses = nullptr;  // members in ulysses order: same cfg and ring coordinate

  int64_t joint_count() const { return text_count + video_count; }
  int shard_count() const { return ring_size * ulysses_size; }
  int shard_idx() const { return ring_rank * ulysses_size + ulysses_rank; }
  JointShard shard() const {
    return SplitJoint(text_count, video_count, shard_count(), shard_idx());
  }
};

// softmax(q kᵀ / sqrt(D)) v over the whole joint sequence, from sequence shards to the same
// sequence shard. q, k, v: [B, S/(u·r), N, D], this rank's rows with all heads (q and k normed and
// rotated) → same shape and dtype. Ulysses inside (all-to-all to S/r rows and N/u heads and back),
// ring outside (K/V blocks travel, partial results merged by log-sum-exp in fp32; the next block is
// on its way while one is worked on). Hand q, k and v over with std::move: they are freed once
// packed.
at::Tensor SequenceAttention(at::Tensor q, at::Tensor k, at::Tensor v,
                             const SequenceContext& context);

// Bytes of the tensors that SequenceAttention holds at its peak on this rank, for the plan: q, k
// and v as handed over, packed and received; K/V blocks; partial results. Apart from what has no
// share of the sequence (the attention kernel's tiles, below 1 MiB a thread) and from the messages
// that a CPU communicator keeps.
int64_t SequenceAttentionBytes(const SequenceContext& context, int64_t batch, int64_t heads,
                               int64_t head_dim, int64_t element_bytes);

}  // namespace cogwheel
