#include "worker/parallel/sequence.h"

#include <ATen/ATen.h>

#include "worker/parallel/ring_attention.h"
#include "worker/parallel/ulysses_exchange.h"

namespace cogwheel {

at::Tensor SequenceAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const SequenceContext& context) {
  TORCH_CHECK(q.dim() == 4 && q.sizes() == k.sizes() && q.sizes() == v.sizes() &&
                  q.size(1) == context.shard().rows.size(),
              "q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), " on a shard of ",
              context.shard().rows.size(), " rows");
  const auto [q_all, k_all, v_all] = ScatterHeads({q, k, v}, context);
  const at::Tensor out = RingAttention(q_all, k_all, v_all, context);
  return GatherHeads(out, context, q.size(2));
}

int64_t SequenceAttentionBytes(const SequenceContext& context, int64_t batch, int64_t heads,
                               int64_t head_dim, int64_t element_bytes) {
  const int64_t own_heads = SplitHeads(heads, context.ulysses_size, context.ulysses_rank).size();
  const int64_t sharded = batch * context.shard().rows.size() * heads * head_dim;
  const int64_t scattered =
      batch * RingBlock(context, context.ring_rank).size() * own_heads * head_dim;
  // q, k, v leaving and arrived; two K/V blocks; result, and its way back.
  const int64_t elements = 3 * sharded + 3 * scattered + 4 * scattered + scattered + sharded;
  // Two partial results in fp32 while they are merged, with their log-sum-exp.
  const int64_t merge_bytes = 2 * (scattered + scattered / head_dim) * int64_t{sizeof(float)};
  return elements * element_bytes + merge_bytes;
}

}  // namespace cogwheel
