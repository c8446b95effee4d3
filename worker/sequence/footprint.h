#pragma once

#include <cstdint>

#include "worker/sequence/geometry.h"

namespace cogwheel {

// What a layer attends with: B, N, D, and the bytes of a number.
struct HeadShape {
  int64_t batch = 1, heads = 0, head_dim = 0, element_bytes = 0;
};

// Bytes of the tensors that one layer's attention (exchange.h, ring.h) holds at its peak on this
// rank: q, k and v as handed over, packed and received; K/V blocks; partial results. Apart from
// what has no share of the sequence (the attention kernel's tiles, below 1 MiB a thread) and from
// the messages that a CPU communicator keeps. Counted as on a CPU: on a GPU q, k and v are views of
// one buffer, which goes when the last of them does. Pure.
int64_t AttentionBytes(const Geometry& geometry, const HeadShape& shape);

// Of the messages that a CPU communicator keeps beside them: what is sent until it has left, what
// has arrived until it is asked for. Pure.
int64_t MessageBytes(const Geometry& geometry, const HeadShape& shape);

}  // namespace cogwheel
