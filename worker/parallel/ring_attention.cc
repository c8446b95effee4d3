#include "worker/parallel/ring_attention.h"

#include <array>
#include <utility>

#include <ATen/ATen.h>

#include "worker/kernels/attention.h"
#include "worker/parallel/tensor_bytes.h"
#include "worker/parallel/ulysses_exchange.h"

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
  AttentionMerge merge;
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
      ticket = context.ring->Start(sends, recvs, nullptr);
    }
    const bool attends = q.numel() > 0 && block.numel() > 0;
    AttentionPart part;
    if (attends) part = Attend(HeadsFirst(q), HeadsFirst(block[0]), HeadsFirst(block[1]));
    if (travels) {
      context.ring->Finish(ticket);
      block = std::move(incoming);
    }
    if (attends) merge.Add(std::move(part));
  }
  return merge.empty() ? at::empty_like(q) : HeadsFirst(merge.Result(q.scalar_type())).contiguous();
}

}  // namespace cogwheel
