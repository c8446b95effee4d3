#include "worker/sequence/footprint.h"

#include <algorithm>

namespace cogwheel {
namespace {

// What the pieces of one layer's attention take on this rank, in bytes.
struct PieceBytes {
  int64_t sharded;    // one of q, k, v and the result: own rows, all heads
  int64_t scattered;  // the same on the block's rows, own heads
  int64_t kv_block;   // the largest K/V block
  int64_t fp32;       // scattered, in fp32
  int64_t row_sums;   // one log-sum-exp
};

int64_t LargestBlockRows(const Geometry& geometry) {
  int64_t rows = 0;
  for (int ring = 0; ring < geometry.mesh().ring; ++ring) {
    rows = std::max(rows, geometry.block(ring).size());
  }
  return rows;
}

PieceBytes CountPieces(const Geometry& geometry, const HeadShape& shape) {
  const int64_t row = shape.batch * shape.head_dim * shape.element_bytes;  // of one head
  const int64_t own_heads = geometry.heads(shape.heads).size();
  const int64_t scattered = geometry.block().size() * own_heads * row;
  const int64_t fp32 = scattered / shape.element_bytes * int64_t{sizeof(float)};
  return {.sharded = geometry.rows().size() * shape.heads * row,
          .scattered = scattered,
          .kv_block = 2 * LargestBlockRows(geometry) * own_heads * row,
          .fp32 = fp32,
          .row_sums = fp32 / shape.head_dim};
}

// q, k, v and their packed copies; those and the places of what is received. A member alone joins
// k and v for the ring.
int64_t ToHeadsBytes(const Geometry& geometry, const PieceBytes& piece) {
  if (geometry.mesh().ulysses == 1) return 5 * piece.sharded;
  return 3 * (piece.sharded + std::max(piece.sharded, piece.scattered));
}

int64_t RingBytes(const Geometry& geometry, const HeadShape& shape, const PieceBytes& piece) {
  const int64_t travels = geometry.mesh().ring > 1 ? 1 : 0;
  const int64_t merges = geometry.mesh().ring > 2 ? 1 : 0;
  const int64_t copies = shape.element_bytes < int64_t{sizeof(float)} ? 1 : 0;
  // Attending: q, the block, the one on its way, what is merged so far, and a new part: that of
  // half the heads when it is merged while a block travels, with a copy in fp32 unless it is.
  const int64_t row = shape.batch * shape.head_dim * shape.element_bytes;
  const int64_t half_heads = (geometry.heads(shape.heads).size() + 1) / 2;
  const int64_t half = merges * geometry.block().size() * half_heads * row;
  const int64_t half_fp32 = half / shape.element_bytes * int64_t{sizeof(float)};
  const int64_t part = merges > 0 ? half + copies * half_fp32 : piece.scattered;
  const int64_t attend = piece.scattered + (1 + travels) * piece.kv_block +
                         merges * (piece.fp32 + piece.row_sums) + part + piece.row_sums;
  // Merging the last two parts: q, the block, both parts, a copy of each in fp32 unless they are,
  // and three log-sum-exps.
  const int64_t merge = travels * (2 * piece.scattered + piece.kv_block + piece.fp32 +
                                   copies * piece.fp32 + 3 * piece.row_sums);
  return std::max(attend, merge);
}

// What was attended and what is received; that and the result joined. A member alone has the
// result.
int64_t ToRowsBytes(const Geometry& geometry, const PieceBytes& piece) {
  if (geometry.mesh().ulysses == 1) return piece.scattered;
  return piece.sharded + std::max(piece.sharded, piece.scattered);
}

}  // namespace

int64_t AttentionBytes(const Geometry& geometry, const HeadShape& shape) {
  const PieceBytes piece = CountPieces(geometry, shape);
  if (geometry.mesh().shard_count() == 1) {  // q, k, v as they lie, and the result
    return 4 * piece.sharded + piece.row_sums;
  }
  return std::max({ToHeadsBytes(geometry, piece), RingBytes(geometry, shape, piece),
                   ToRowsBytes(geometry, piece)});
}

// q, k and v leave for all other members while theirs arrive; a member that is ahead may have sent
// the next exchange's as well. Of K/V blocks one leaves, and all others may have come.
int64_t MessageBytes(const Geometry& geometry, const HeadShape& shape) {
  const PieceBytes piece = CountPieces(geometry, shape);
  const Mesh& mesh = geometry.mesh();
  const int64_t to_heads =
      mesh.ulysses > 1 ? 3 * (piece.sharded + piece.scattered) + piece.sharded : 0;
  const int64_t blocks = mesh.ring > 1 ? mesh.ring * piece.kv_block : 0;
  return std::max(to_heads, blocks);
}

}  // namespace cogwheel
