#include "worker/sequence/ring.h"

#include <array>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/kernels/attention.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

// [B, S, N, D] → [B, N, S, D], a view.
at::Tensor HeadsFirst(const at::Tensor& x) { return x.transpose(1, 2); }

// The queries of one member and what they have attended to so far. From three blocks on, merged
// results stand beside two blocks: in two groups of heads only half of the next part stands beside
// them as well.
class Queries {
 public:
  // q: [B, S/r, N/u, D]
  Queries(at::Tensor q, int block_count)
      : q_(std::move(q)),
        groups_(HeadsFirst(q_).chunk(block_count > 2 ? 2 : 1, 1)),  // [B, N/u (/2), S/r, D]
        merges_(groups_.size()) {}

  // k, v: [B, S/r of the block's owner, N/u, D]
  void AttendTo(const at::Tensor& k, const at::Tensor& v) {
    if (q_.numel() == 0 || k.numel() == 0) return;
    const int64_t count = static_cast<int64_t>(groups_.size());
    const std::vector<at::Tensor> ks = HeadsFirst(k).chunk(count, 1);
    const std::vector<at::Tensor> vs = HeadsFirst(v).chunk(count, 1);
    for (size_t i = 0; i < groups_.size(); ++i) {
      merges_[i].Add(Attend(groups_[i], ks[i], vs[i]));
    }
  }

  // [B, S/r, N/u, D], dense
  at::Tensor Result() const {
    if (merges_.front().empty()) return at::empty_like(q_);
    std::vector<at::Tensor> merged;
    for (const AttentionMerge& merge : merges_) {
      merged.push_back(HeadsFirst(merge.Result(q_.scalar_type())));  // [B, S/r, N/u (/2), D]
    }
    if (merged.size() == 1) return merged[0].contiguous();
    return at::cat(merged, 2).contiguous();  // cat keeps the strides of its inputs
  }

 private:
  const at::Tensor q_;
  const std::vector<at::Tensor> groups_;
  std::vector<AttentionMerge> merges_;
};

}  // namespace

std::optional<Ring::Incoming> Ring::PassOn(const at::Tensor& kv, int hop) const {
  const int size = geometry_.mesh().ring, rank = geometry_.ring_rank();
  if (hop + 1 == size) return std::nullopt;
  const int owner = (rank - hop - 1 + size) % size;  // of the block that comes
  Incoming incoming = {
      .kv = at::empty({2, kv.size(1), geometry_.block(owner).size(), kv.size(3), kv.size(4)},
                      kv.options())};
  const std::array sends{SendPiece{.peer = (rank + 1) % size, .data = TensorBytes(kv)}};
  const std::array recvs{
      RecvPiece{.peer = (rank + size - 1) % size, .data = TensorBytes(incoming.kv)}};
  incoming.ticket = ring_.Start(sends, recvs, StreamOf(kv));
  return incoming;
}

at::Tensor Ring::Attend(Heads own) const {
  const int size = geometry_.mesh().ring;
  at::Tensor kv = std::move(own.kv);  // [2, B, S/r, N/u, D]
  if (size > 1 && !kv.defined()) kv = at::stack({own.k, own.v});
  at::Tensor k = kv.defined() ? kv[0] : std::move(own.k);  // [B, S/r, N/u, D]
  at::Tensor v = kv.defined() ? kv[1] : std::move(own.v);
  Queries queries(std::move(own.q), size);
  own = {};
  for (int hop = 0; hop < size; ++hop) {
    std::optional<Incoming> incoming = PassOn(kv, hop);  // while the present block is worked on
    queries.AttendTo(k, v);
    if (!incoming.has_value()) break;
    ring_.Finish(incoming->ticket);
    kv = std::move(incoming->kv);
    k = kv[0];
    v = kv[1];
  }
  return queries.Result();
}

}  // namespace cogwheel
