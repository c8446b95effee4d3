#pragma once

#include <memory>

#include "worker/comm/communicator.h"
#include "worker/sequence/mesh.h"

namespace cogwheel {

// The communicators of one mesh on one rank: its row and its column of Geometry's picture. Both
// exist at every size (size 1 talks to itself). Made once per mesh and kept while the group lives.
struct MeshLinks {
  std::unique_ptr<Communicator> ring;     // in ring order: same cfg and ulysses place
  std::unique_ptr<Communicator> ulysses;  // in ulysses order: same cfg and ring place
};

// Every rank of `world` calls it with the same mesh, in the same order as its other splits. Throws
// std::invalid_argument for a mesh of another size.
MeshLinks MakeMeshLinks(Communicator& world, const Mesh& mesh);

}  // namespace cogwheel
