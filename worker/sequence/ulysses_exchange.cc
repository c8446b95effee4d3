#include "worker/sequence/ulysses_exchange.h"

#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

// Rows of ulysses member `peer` within this ring block, numbered from the block's first row.
Range RowsInBlock(const SequenceContext& context, int peer) {
  const int first = context.ring_rank * context.ulysses_size;
  const int64_t begin = RingBlock(context, context.ring_rank).begin;
  const Range rows = SplitSequence(context.joint_count(), context.shard_count(), first + peer);
  return {.begin = rows.begin - begin, .end = rows.end - begin};
}

// What goes to other members and comes from them, batch entry by batch entry: each is dense.
class Pieces {
 public:
  // [B, ...]; must outlive the exchange.
  void Send(int peer, const at::Tensor& x) {
    for (const at::Tensor& entry : x.unbind(0)) sends_.push_back({peer, TensorBytes(entry)});
  }
  void Receive(int peer, const at::Tensor& x) {
    for (const at::Tensor& entry : x.unbind(0)) recvs_.push_back({peer, TensorBytes(entry)});
  }
  void Exchange(const SequenceContext& context, StreamHandle stream) const {
    cogwheel::Exchange(*context.ulysses, sends_, recvs_, stream);
  }

 private:
  std::vector<SendPiece> sends_;
  std::vector<RecvPiece> recvs_;
};

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
  std::vector<at::Tensor> packed;  // by peer: [3, B, S/(u·r), N/u, D]
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const Range heads = SplitHeads(N, context.ulysses_size, peer);
    std::vector<at::Tensor> parts;
    for (const at::Tensor& x : qkv) parts.push_back(x.narrow(2, heads.begin, heads.size()));
    packed.push_back(at::stack(parts));
  }
  qkv = {};
  const int64_t rows = RingBlock(context, context.ring_rank).size();
  const int64_t own_heads = SplitHeads(N, context.ulysses_size, context.ulysses_rank).size();
  ScatteredHeads result = {.q = at::empty({B, rows, own_heads, D}, options),
                           .kv = at::empty({2, B, rows, own_heads, D}, options)};
  const std::array<at::Tensor, 3> places = {result.q, result.kv[0], result.kv[1]};
  Pieces pieces;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const Range from = RowsInBlock(context, peer);
    for (size_t i = 0; i < places.size(); ++i) {
      const at::Tensor place = places[i].narrow(1, from.begin, from.size());
      if (peer == context.ulysses_rank) {
        place.copy_(packed[peer][i]);
      } else {
        pieces.Send(peer, packed[peer][i]);
        pieces.Receive(peer, place);
      }
    }
  }
  pieces.Exchange(context, StreamOf(result.q));
  return result;
}

at::Tensor GatherHeads(at::Tensor attended, const SequenceContext& context, int64_t head_count) {
  if (context.ulysses_size == 1) return attended;
  const int64_t B = attended.size(0), D = attended.size(3);
  const int64_t own_rows = RowsInBlock(context, context.ulysses_rank).size();
  std::vector<at::Tensor> parts;  // by peer: [B, S/(u·r), N/u, D]
  Pieces pieces;
  for (int peer = 0; peer < context.ulysses_size; ++peer) {
    const int64_t heads = SplitHeads(head_count, context.ulysses_size, peer).size();
    const Range rows = RowsInBlock(context, peer);
    const at::Tensor to_peer = attended.narrow(1, rows.begin, rows.size());
    parts.push_back(at::empty({B, own_rows, heads, D}, attended.options()));
    if (peer == context.ulysses_rank) {
      parts.back().copy_(to_peer);
    } else {
      pieces.Send(peer, to_peer);
      pieces.Receive(peer, parts.back());
    }
  }
  pieces.Exchange(context, StreamOf(attended));
  attended.reset();
  return at::cat(parts, 2);  // [B, S/(u·r), N, D]
}

}  // namespace cogwheel
