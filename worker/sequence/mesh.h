#pragma once

#include <string>

// Rank arithmetic. Pure.
namespace cogwheel {

// Position of a rank in the mesh cfg x ring x ulysses.
struct MeshCoord {
  int cfg = 0;
  int ring = 0;
  int ulysses = 0;
};

// world_rank = (cfg * ring_size + ring) * ulysses_size + ulysses: ulysses is the innermost axis, so
// that the ranks that exchange most are neighbours. The joint sequence is cut into ring_size *
// ulysses_size shards; the shard of a rank is ring * ulysses_size + ulysses, the same in both
// guidance halves.
struct Mesh {
  int cfg = 1;      // 1, or 2: the guidance branches run on two halves of the world
  int ring = 1;     // K/V blocks travel between these ranks
  int ulysses = 1;  // heads are spread over these ranks

  int size() const { return cfg * ring * ulysses; }
  int shard_count() const { return ring * ulysses; }
  MeshCoord At(int world_rank) const;
  int RankAt(MeshCoord coord) const;
  int ShardOf(int world_rank) const { return world_rank % shard_count(); }

  // The mesh for one job: an unguided job has one branch, so the cfg axis joins the ring.
  Mesh ForGuidance(bool guided) const;

  std::string ToString() const;  // "cfg2 x ring2 x ulysses1"
  friend bool operator==(const Mesh&, const Mesh&) = default;
};

}  // namespace cogwheel
