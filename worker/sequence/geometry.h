#pragma once

#include <cstdint>

#include "worker/sequence/mesh.h"
#include "worker/sequence/shard.h"

// Who owns which rows and heads of a job's joint sequence. Pure.
//
// One layer on ring 2 x ulysses 2, S = 12 rows (t text, v video) and N = 4 heads; a cell is one
// row of one head, in it the rank that holds it, and rank = ring · 2 + ulysses:
//
//               own rows, all heads       a block's rows, own heads       own rows, all heads
//       head     0   1   2   3               0   1   2   3                 0   1   2   3
//     0  t     │ 0   0   0   0 │           │ 0   0 │ 1   1 │             │ 0   0   0   0 │
//     1  t     │ 0   0   0   0 │           │ 0   0 │ 1   1 │             │ 0   0   0   0 │
//     2  v     │ 0   0   0   0 │           │ 0   0 │ 1   1 │             │ 0   0   0   0 │
//     3  v     │ 1   1   1   1 │           │ 0   0 │ 1   1 │ block 0     │ 1   1   1   1 │
//     4  v     │ 1   1   1   1 │           │ 0   0 │ 1   1 │             │ 1   1   1   1 │
//     5  v     │ 1   1   1   1 │  ToHeads  │ 0   0 │ 1   1 │    ToRows   │ 1   1   1   1 │
//     6  v     │ 2   2   2   2 │  ───────► │ 2   2 │ 3   3 │  ────────►  │ 2   2   2   2 │
//     7  v     │ 2   2   2   2 │           │ 2   2 │ 3   3 │             │ 2   2   2   2 │
//     8  v     │ 2   2   2   2 │           │ 2   2 │ 3   3 │ block 1     │ 2   2   2   2 │
//     9  v     │ 3   3   3   3 │           │ 2   2 │ 3   3 │             │ 3   3   3   3 │
//    10  v     │ 3   3   3   3 │           │ 2   2 │ 3   3 │             │ 3   3   3   3 │
//    11  v     │ 3   3   3   3 │           │ 2   2 │ 3   3 │             │ 3   3   3   3 │
//
//    In the middle q stays and the blocks of k and v go once around the ring (Attend): between
//    0 and 2, and between 1 and 3. The other half of the cfg axis does the same on its own.
namespace cogwheel {

// Patched latent grid of a clip: a video row of the joint sequence for each of its places, in
// frame, row, column order.
struct PatchGrid {
  int64_t frames = 0, rows = 0, columns = 0;  // F, Y, X
  int64_t token_count() const { return frames * rows * columns; }
  friend bool operator==(const PatchGrid&, const PatchGrid&) = default;
};

// What the joint sequence is made of, in this order.
struct Segments {
  int64_t text_count = 0;  // T
  PatchGrid video;
};

// One job's sequence on a mesh, seen from one rank. A rank's shard is the same in both guidance
// halves. Made once a job; a value.
class Geometry {
 public:
  // mesh: the job's (Mesh::ForGuidance).
  Geometry(const Mesh& mesh, int world_rank, const Segments& segments)
      : mesh_(mesh), world_rank_(world_rank), place_(mesh.At(world_rank)), segments_(segments) {}

  const Mesh& mesh() const { return mesh_; }
  int ring_rank() const { return place_.ring; }
  int ulysses_rank() const { return place_.ulysses; }

  int64_t text_count() const { return segments_.text_count; }            // T
  int64_t video_count() const { return segments_.video.token_count(); }  // F·Y·X
  int64_t joint_count() const { return text_count() + video_count(); }   // S
  const PatchGrid& grid() const { return segments_.video; }

  // S/(u·r): of the joint sequence, and its text and video rows in their own numbering.
  Range rows() const { return ShardOf(world_rank_).rows; }
  Range text_rows() const { return ShardOf(world_rank_).text; }
  Range video_rows() const { return ShardOf(world_rank_).video; }

  // S/r: the K/V block of a ring member, the rows that its ulysses group holds together.
  Range block(int ring_rank) const;
  Range block() const { return block(ring_rank()); }
  // Rows of a ulysses member of this ring block, numbered from the block's first.
  Range rows_in_block(int ulysses_rank) const;
  // N/u: the heads of a ulysses member.
  Range heads(int64_t head_count, int ulysses_rank) const {
    return SplitHeads(head_count, mesh_.ulysses, ulysses_rank);
  }
  Range heads(int64_t head_count) const { return heads(head_count, ulysses_rank()); }

  // The cfg axis. A guided job has the branches [negative; positive], both on every rank or, on a
  // mesh with that axis, one on each half of the world. An unguided job has one.
  int branch_count(bool guided) const { return guided && mesh_.cfg == 1 ? 2 : 1; }
  // The first branch of this rank: 0 the negative.
  int branch() const { return place_.cfg; }
  // The world rank with the same rows in the other half.
  int branch_peer() const;
  // The video rows that a rank gives when the whole clip is put together: of the halves, which own
  // the same rows, the first alone.
  Range given_video_rows_of(int world_rank) const {
    return mesh_.At(world_rank).cfg == 0 ? ShardOf(world_rank).video : Range{};
  }

 private:
  JointShard ShardOf(int world_rank) const {
    return SplitJoint(text_count(), video_count(), mesh_.shard_count(), mesh_.ShardOf(world_rank));
  }

  Mesh mesh_;
  int world_rank_;
  MeshCoord place_;
  Segments segments_;
};

}  // namespace cogwheel
