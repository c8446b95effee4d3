#include "worker/sequence/sequence.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>

#include "worker/kernels/attention.h"
#include "worker/sequence/ring_attention.h"
#include "worker/sequence/ulysses_exchange.h"

namespace cogwheel {

at::Tensor SequenceAttention(at::Tensor q, at::Tensor k, at::Tensor v,
                             const SequenceContext& context) {
  TORCH_CHECK(q.dim() == 4 && q.sizes() == k.sizes() && q.sizes() == v.sizes() &&
                  q.size(1) == context.shard().rows.size(),
              "q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), " on a shard of ",
              context.shard().rows.size(), " rows");
  if (context.shard_count() == 1) {  // nothing to exchange: the heads are attended as they lie
    const auto heads_first = [](const at::Tensor& x) { return x.transpose(1, 2); };
    return heads_first(Attend(heads_first(q), heads_first(k), heads_first(v)).out).contiguous();
  }
  const int64_t N = q.size(2);
  ScatteredHeads scattered = ScatterHeads({std::move(q), std::move(k), std::move(v)}, context);
  at::Tensor attended = RingAttention(std::move(scattered.q), std::move(scattered.kv), context);
  return GatherHeads(std::move(attended), context, N);
}

int64_t SequenceAttentionBytes(const SequenceContext& context, int64_t batch, int64_t heads,
                               int64_t head_dim, int64_t element_bytes) {
  const int64_t own_heads = SplitHeads(heads, context.ulysses_size, context.ulysses_rank).size();
  const int64_t row = batch * head_dim * element_bytes;  // of one head
  int64_t block_rows = 0;                                // of the largest K/V block
  for (int ring = 0; ring < context.ring_size; ++ring) {
    block_rows = std::max(block_rows, RingBlock(context, ring).size());
  }
  const int64_t own_rows = RingBlock(context, context.ring_rank).size();
  const int64_t sharded = context.shard().rows.size() * heads * row;  // one of q, k, v, out
  const int64_t scattered = own_rows * own_heads * row;
  const int64_t kv_block = 2 * block_rows * own_heads * row;
  const int64_t fp32 = scattered / element_bytes * int64_t{sizeof(float)};
  const int64_t row_sums = fp32 / head_dim;  // one log-sum-exp

  if (context.shard_count() == 1) return 4 * sharded + row_sums;  // q, k, v, the result

  // q, k, v and their packed copies; those and the places of what is received. A member alone joins
  // k and v.
  const int64_t scatter =
      context.ulysses_size == 1 ? 5 * sharded : 3 * (sharded + std::max(sharded, scattered));
  const int64_t travels = context.ring_size > 1 ? 1 : 0, merges = context.ring_size > 2 ? 1 : 0;
  const int64_t copies = element_bytes < int64_t{sizeof(float)} ? 1 : 0;
  // Attending: q, the block, the one on its way, what is merged so far, and a new part: that of
  // half the heads when it is merged while a block travels, with a copy in fp32 unless it is.
  const int64_t half_heads = (own_heads + 1) / 2;
  const int64_t half = merges * own_rows * half_heads * row;
  const int64_t half_fp32 = half / element_bytes * int64_t{sizeof(float)};
  const int64_t part = merges > 0 ? half + copies * half_fp32 : scattered;
  const int64_t attend =
      scattered + (1 + travels) * kv_block + merges * (fp32 + row_sums) + part + row_sums;
  // Merging the last two parts: q, the block, both parts, a copy of each in fp32 unless they are,
  // and three log-sum-exps.
  const int64_t merge =
      travels * (scattered + kv_block + fp32 + scattered + copies * fp32 + 3 * row_sums);
  // What was attended and what is received; that and the result joined. A member alone has the
  // result.
  const int64_t gather =
      context.ulysses_size == 1 ? scattered : sharded + std::max(sharded, scattered);
  return std::max({scatter, attend, merge, gather});
}

}  // namespace cogwheel
