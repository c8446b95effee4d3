#include "worker/sequence/ring_attention.h"

#include <array>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/kernels/attention.h"
#include "worker/sequence/tensor_bytes.h"
#include "worker/sequence/ulysses_exchange.h"

namespace cogwheel {
namespace {

// [B, S, N, D] → [B, N, S, D], a view.
at::Tensor HeadsFirst(const at::Tensor& x) { return x.transpose(1, 2); }

}  // namespace

at::Tensor RingAttention(at::Tensor q, at::Tensor kv, const SequenceContext& context) {
  const int size = context.ring_size;
  const int next = (context.ring_rank + 1) % size;
  const int previous = (context.ring_rank + size - 1) % size;
  at::Tensor block = std::move(kv);  // [2, B, S/r, N/u, D]
  // From three blocks on, merged results stand beside two blocks: in two groups of heads only half
  // of the next part stands beside them as well.
  const int groups = size > 2 ? 2 : 1;
  const std::vector<at::Tensor> qs = HeadsFirst(q).chunk(groups, 1);
  std::vector<AttentionMerge> merges(qs.size());
  for (int hop = 0; hop < size; ++hop) {
    const bool travels = hop + 1 < size;
    at::Tensor incoming;
    Communicator::Ticket ticket = 0;
    if (travels) {
      const int owner = (context.ring_rank - hop - 1 + size) % size;
      incoming = at::empty(
          {2, block.size(1), RingBlock(context, owner).size(), block.size(3), block.size(4)},
          block.options());
      const std::array sends{SendPiece{.peer = next, .data = TensorBytes(block)}};
      const std::array recvs{RecvPiece{.peer = previous, .data = TensorBytes(incoming)}};
      ticket = context.ring->Start(sends, recvs, StreamOf(block));
    }
    if (q.numel() > 0 && block.numel() > 0) {
      const std::vector<at::Tensor> ks = HeadsFirst(block[0]).chunk(groups, 1);
      const std::vector<at::Tensor> vs = HeadsFirst(block[1]).chunk(groups, 1);
      for (size_t i = 0; i < qs.size(); ++i) merges[i].Add(Attend(qs[i], ks[i], vs[i]));
    }
    if (travels) {
      context.ring->Finish(ticket);
      block = std::move(incoming);
    }
  }
  if (merges.front().empty()) return at::empty_like(q);
  std::vector<at::Tensor> merged;
  for (const AttentionMerge& merge : merges) {
    merged.push_back(HeadsFirst(merge.Result(q.scalar_type())));
  }
  if (merged.size() == 1) return merged[0].contiguous();
  return at::cat(merged, 2).contiguous();  // cat keeps the strides of its inputs
}

}  // namespace cogwheel
