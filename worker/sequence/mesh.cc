#include "worker/sequence/mesh.h"

namespace cogwheel {

MeshCoord Mesh::At(int world_rank) const {
  return {.cfg = world_rank / shard_count(),
          .ring = world_rank / ulysses % ring,
          .ulysses = world_rank % ulysses};
}

int Mesh::RankAt(MeshCoord coord) const {
  return (coord.cfg * ring + coord.ring) * ulysses + coord.ulysses;
}

Mesh Mesh::ForGuidance(bool guided) const {
  return guided ? *this : Mesh{.cfg = 1, .ring = cfg * ring, .ulysses = ulysses};
}

std::string Mesh::ToString() const {
  return "cfg" + std::to_string(cfg) + " x ring" + std::to_string(ring) + " x ulysses" +
         std::to_string(ulysses);
}

}  // namespace cogwheel
