#include "worker/sequence/exchange.h"

#include <array>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

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
  void Travel(Communicator& members, StreamHandle stream) const {
    Exchange(members, sends_, recvs_, stream);
  }

 private:
  std::vector<SendPiece> sends_;
  std::vector<RecvPiece> recvs_;
};

}  // namespace

Heads HeadExchange::ToHeads(Heads own) const {
  const Range rows = geometry_.rows();
  TORCH_CHECK(own.q.dim() == 4 && own.q.sizes() == own.k.sizes() &&
                  own.q.sizes() == own.v.sizes() && own.q.size(1) == rows.size() &&
                  own.q.size(2) == head_count_,
              "q ", own.q.sizes(), ", k ", own.k.sizes(), ", v ", own.v.sizes(), " on a shard of ",
              rows.size(), " rows with ", head_count_, " heads");
  if (members() == 1) return own;
  const int64_t B = own.q.size(0), D = own.q.size(3);
  const at::TensorOptions options = own.q.options();
  std::vector<at::Tensor> packed;  // by member: [3, B, S/(u·r), N/u, D], its heads of q, k, v
  for (int member = 0; member < members(); ++member) {
    const Range heads = geometry_.heads(head_count_, member);
    const auto of_member = [&](const at::Tensor& x) {
      return x.narrow(2, heads.begin, heads.size());
    };
    packed.push_back(at::stack({of_member(own.q), of_member(own.k), of_member(own.v)}));
  }
  own = {};
  const int64_t block_rows = geometry_.block().size();
  const int64_t own_heads = geometry_.heads(head_count_).size();
  const at::Tensor q = at::empty({B, block_rows, own_heads, D}, options);
  const at::Tensor kv = at::empty({2, B, block_rows, own_heads, D}, options);
  const std::array places = {q, kv[0], kv[1]};
  Pieces pieces;
  for (int member = 0; member < members(); ++member) {
    const Range from = geometry_.rows_in_block(member);
    for (size_t i = 0; i < places.size(); ++i) {
      const at::Tensor place = places[i].narrow(1, from.begin, from.size());
      if (member == geometry_.ulysses_rank()) {
        place.copy_(packed[member][i]);
      } else {
        pieces.Send(member, packed[member][i]);
        pieces.Receive(member, place);
      }
    }
  }
  pieces.Travel(ulysses_, StreamOf(q));
  return {.q = q, .k = places[1], .v = places[2], .kv = kv};
}

at::Tensor HeadExchange::ToRows(at::Tensor attended) const {
  if (members() == 1) return attended;
  const int64_t B = attended.size(0), D = attended.size(3);
  std::vector<at::Tensor> parts;  // by member: [B, S/(u·r), N/u, D], its heads of own rows
  Pieces pieces;
  for (int member = 0; member < members(); ++member) {
    const int64_t heads = geometry_.heads(head_count_, member).size();
    const Range rows = geometry_.rows_in_block(member);
    const at::Tensor to_member = attended.narrow(1, rows.begin, rows.size());
    parts.push_back(at::empty({B, geometry_.rows().size(), heads, D}, attended.options()));
    if (member == geometry_.ulysses_rank()) {
      parts.back().copy_(to_member);
    } else {
      pieces.Send(member, to_member);
      pieces.Receive(member, parts.back());
    }
  }
  pieces.Travel(ulysses_, StreamOf(attended));
  attended.reset();
  return at::cat(parts, 2);  // [B, S/(u·r), N, D]
}

}  // namespace cogwheel
