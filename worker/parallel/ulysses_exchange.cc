#include "worker/parallel/ulysses_exchange.h"

#include <vector>

#include <ATen/ATen.h>

#include "worker/parallel/tensor_bytes.h"

namespace cogwheel {
namespace {

// Rows of ulysses member `peer` within this ring block, numbered from the block's first row.
Range RowsInBlock(const SequenceContext& context, int peer) {
  const int first = context.ring_rank * context.ulysses_size;
  const int64_t begin = RingBlock(context, context.ring_rank).begin;
  const Range rows = SplitSequence(context.joint_count(), context.shard_count(), first + peer);
  return {.begin = rows.begin - begin, .end = rows.end - begin};
}

// Buffers of one exchange with every member; kept alive until it is done.
struct Buffers {
  std::vector<at::Tensor> sends;
  std::vector<at::Tensor> recvs;
};

void Run(const SequenceContext& context, const Buffers& buffers) {
  std::vector<SendPiece> sends;
  std::vector<RecvPiece> recvs;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    sends.push_back({.peer = peer, .data = TensorBytes(buffers.sends[peer])});
    recvs.push_back({.peer = peer, .data = TensorBytes(buffers.recvs[peer])});
  }
  Exchange(*context.ulysses, sends, recvs, nullptr);
}

}  // namespace

Range RingBlock(const SequenceContext& context, int ring_rank) {
  const int first = ring_rank * context.ulysses_size;
  const int shards = context.shard_count();
  return {
      .begin = SplitSequence(context.joint_count(), shards, first).begin,
      .end = SplitSequence(context.joint_count(), shards, first + context.ulysses_size - 1).end};
}

std::array<at::Tensor, 3> ScatterHeads(const std::array<at::Tensor, 3>& qkv,
                                       const SequenceContext& context) {
  const int64_t batch = qkv[0].size(0), head_count = qkv[0].size(2), dim = qkv[0].size(3);
  const Range my_heads = SplitHeads(head_count, context.ulysses_size, context.ulysses_rank);
  Buffers buffers;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const Range heads = SplitHeads(head_count, context.ulysses_size, peer);
    std::vector<at::Tensor> parts;
    for (const at::Tensor& x : qkv) parts.push_back(x.narrow(2, heads.begin, heads.size()));
    buffers.sends.push_back(at::stack(parts));  // [3, B, S/(u·r), N/u, D]
    buffers.recvs.push_back(at::empty(
        {3, batch, RowsInBlock(context, peer).size(), my_heads.size(), dim}, qkv[0].options()));
  }
  Run(context, buffers);
  const at::Tensor joined = at::cat(buffers.recvs, 2);  // [3, B, S/r, N/u, D]
  return {joined[0], joined[1], joined[2]};
}

at::Tensor GatherHeads(const at::Tensor& out, const SequenceContext& context, int64_t head_count) {
  const int64_t batch = out.size(0), dim = out.size(3);
  const int64_t my_rows = RowsInBlock(context, context.ulysses_rank).size();
  Buffers buffers;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const Range rows = RowsInBlock(context, peer);
    const Range heads = SplitHeads(head_count, context.ulysses_size, peer);
    buffers.sends.push_back(out.narrow(1, rows.begin, rows.size()).contiguous());
    buffers.recvs.push_back(at::empty({batch, my_rows, heads.size(), dim}, out.options()));
  }
  Run(context, buffers);
  return at::cat(buffers.recvs, 2);  // [B, S/(u·r), N, D]
}

}  // namespace cogwheel
