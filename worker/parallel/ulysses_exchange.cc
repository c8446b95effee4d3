#include "worker/parallel/ulysses_exchange.h"

#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
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

// sends[i] goes to member i, recvs[i] comes from it. The sent tensors are freed.
void Run(const SequenceContext& context, std::vector<at::Tensor> sends,
         const std::vector<at::Tensor>& recvs) {
  std::vector<SendPiece> send_pieces;
  std::vector<RecvPiece> recv_pieces;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    send_pieces.push_back({.peer = peer, .data = TensorBytes(sends[peer])});
    recv_pieces.push_back({.peer = peer, .data = TensorBytes(recvs[peer])});
  }
  Exchange(*context.ulysses, send_pieces, recv_pieces, StreamOf(sends[0]));
}

}  // namespace

Range RingBlock(const SequenceContext& context, int ring_rank) {
  const int first = ring_rank * context.ulysses_size;
  const int shards = context.shard_count();
  return {
      .begin = SplitSequence(context.joint_count(), shards, first).begin,
      .end = SplitSequence(context.joint_count(), shards, first + context.ulysses_size - 1).end};
}

ScatteredHeads ScatterHeads(std::array<at::Tensor, 3> qkv, const SequenceContext& context) {
  if (context.ulysses_size == 1) return {.q = qkv[0], .kv = at::stack({qkv[1], qkv[2]})};
  const int64_t B = qkv[0].size(0), N = qkv[0].size(2), D = qkv[0].size(3);
  const at::TensorOptions options = qkv[0].options();
  const int64_t own_heads = SplitHeads(N, context.ulysses_size, context.ulysses_rank).size();
  std::vector<at::Tensor> sends, recvs;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const Range heads = SplitHeads(N, context.ulysses_size, peer);
    std::vector<at::Tensor> parts;
    for (const at::Tensor& x : qkv) parts.push_back(x.narrow(2, heads.begin, heads.size()));
    sends.push_back(at::stack(parts));  // [3, B, S/(u·r), N/u, D]
  }
  qkv = {};
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const int64_t rows = RowsInBlock(context, peer).size();
    recvs.push_back(at::empty({3, B, rows, own_heads, D}, options));
  }
  Run(context, std::move(sends), recvs);
  std::vector<at::Tensor> q, kv;
  for (const at::Tensor& part : recvs) {
    q.push_back(part[0]);
    kv.push_back(part.narrow(0, 1, 2));
  }
  return {.q = at::cat(q, 1), .kv = at::cat(kv, 2)};
}

at::Tensor GatherHeads(at::Tensor attended, const SequenceContext& context, int64_t head_count) {
  if (context.ulysses_size == 1) return attended;
  const int64_t B = attended.size(0), D = attended.size(3);
  const at::TensorOptions options = attended.options();
  const int64_t own_rows = RowsInBlock(context, context.ulysses_rank).size();
  std::vector<at::Tensor> sends, recvs;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const Range rows = RowsInBlock(context, peer);
    sends.push_back(attended.narrow(1, rows.begin, rows.size()).contiguous());
  }
  attended.reset();
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const int64_t heads = SplitHeads(head_count, context.ulysses_size, peer).size();
    recvs.push_back(at::empty({B, own_rows, heads, D}, options));
  }
  Run(context, std::move(sends), recvs);
  return at::cat(recvs, 2);  // [B, S/(u·r), N, D]
}

}  // namespace cogwheel
