#include "worker/sequence/geometry.h"

namespace cogwheel {

Range Geometry::block(int ring_rank) const {
  const int first = ring_rank * mesh_.ulysses, shards = mesh_.shard_count();
  return {.begin = SplitSequence(joint_count(), shards, first).begin,
          .end = SplitSequence(joint_count(), shards, first + mesh_.ulysses - 1).end};
}

Range Geometry::rows_in_block(int ulysses_rank) const {
  const int shard = ring_rank() * mesh_.ulysses + ulysses_rank;
  const Range rows = SplitSequence(joint_count(), mesh_.shard_count(), shard);
  const int64_t begin = block().begin;
  return {.begin = rows.begin - begin, .end = rows.end - begin};
}

int Geometry::branch_peer() const {
  MeshCoord peer = place_;
  peer.cfg = mesh_.cfg - 1 - peer.cfg;
  return mesh_.RankAt(peer);
}

}  // namespace cogwheel
