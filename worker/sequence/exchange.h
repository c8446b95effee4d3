#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/kernels/heads.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// Ulysses: all-to-all between the ranks that share a K/V block, from their own rows of all heads to
// all the block's rows of their own heads, and back. geometry.h has the picture. A member alone
// hands on what it gets. Owned by the rank thread; borrows the communicator.
//
// With offset(i) the first row of member i within the block, s one of its rows, and heads(j) the
// heads of member j (rows and heads may be none).
class HeadExchange {
 public:
  // ulysses: the link of this rank; head_count: N.
  HeadExchange(const Geometry& geometry, Communicator& ulysses, int64_t head_count)
      : geometry_(geometry), ulysses_(ulysses), head_count_(head_count) {}

  //   out[b][offset(i) + s][n] on member j  =  in[b][s][heads(j).begin + n] on member i
  // for q, k and v: [B, S/(u·r), N, D] → [B, S/r, N/u, D]. Packed to be sent, then freed unless
  // somebody else holds them; k and v are received in one buffer.
  Heads ToHeads(Heads own) const;

  // The way back:
  //   out[b][s][heads(j).begin + n] on member i  =  in[b][offset(i) + s][n] on member j
  // [B, S/r, N/u, D] → [B, S/(u·r), N, D].
  at::Tensor ToRows(at::Tensor attended) const;

 private:
  int members() const { return geometry_.mesh().ulysses; }

  const Geometry geometry_;
  Communicator& ulysses_;
  const int64_t head_count_;
};

}  // namespace cogwheel
