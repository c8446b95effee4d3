#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/kernels/heads.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// Attention of a ring member's queries over the keys of all members: softmax(q kᵀ / sqrt(D)) v over
// the whole joint sequence. Q stays; the K/V blocks travel once around the ring, the next one while
// the present one is worked on, and the parts are merged by log-sum-exp in fp32, always in ring
// order. Empty blocks are neither sent nor attended to. Owned by the rank thread; borrows the
// communicator.
class Ring {
 public:
  // ring: the link of this rank.
  Ring(const Geometry& geometry, Communicator& ring) : geometry_(geometry), ring_(ring) {}

  // own: [B, S/r, N/u, D], freed once attended to or travelled on → [B, S/r, N/u, D]. A member
  // alone attends to k and v as they lie; else they are joined in one buffer, unless they lie so.
  at::Tensor Attend(Heads own) const;

 private:
  // A block on its way here.
  struct Incoming {
    at::Tensor kv;  // [2, B, S/r, N/u, D]
    Communicator::Ticket ticket = 0;
  };

  // After `hop` hops `kv` goes to the next member, and what the one before holds comes; nothing on
  // the last hop.
  std::optional<Incoming> PassOn(const at::Tensor& kv, int hop) const;

  const Geometry geometry_;
  Communicator& ring_;
};

}  // namespace cogwheel
