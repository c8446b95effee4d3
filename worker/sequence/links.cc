#include "worker/sequence/links.h"

#include <stdexcept>
#include <string>
#include <vector>

namespace cogwheel {

MeshLinks MakeMeshLinks(Communicator& world, const Mesh& mesh) {
  if (world.size() != mesh.size()) {
    throw std::invalid_argument("mesh " + mesh.ToString() + " has " + std::to_string(mesh.size()) +
                                " places for " + std::to_string(world.size()) + " ranks");
  }
  const MeshCoord own = mesh.At(world.rank());
  std::vector<int> ring, ulysses;  // members
  for (int i = 0; i < mesh.ring; ++i) ring.push_back(mesh.RankAt({own.cfg, i, own.ulysses}));
  for (int i = 0; i < mesh.ulysses; ++i) ulysses.push_back(mesh.RankAt({own.cfg, own.ring, i}));
  MeshLinks links;
  links.ring = world.Split(ring, "ring");
  links.ulysses = world.Split(ulysses, "ulysses");
  return links;
}

}  // namespace cogwheel
