#pragma once

#include <cstdint>
#include <memory>

#include "worker/comm/communicator.h"
#include "worker/sequence/mesh.h"
#include "worker/sequence/sequence.h"

namespace cogwheel {

// The sub-communicators of one mesh on one rank. Made once per mesh and kept while the group lives.
class SequenceGroups {
 public:
  // Every rank of `world` makes it with the same mesh, in the same order as its other splits.
  SequenceGroups(Communicator& world, const Mesh& mesh);

  const Mesh& mesh() const { return mesh_; }
  // Borrows the communicators.
  SequenceContext Context(int64_t text_count, int64_t video_count) const;

 private:
  Mesh mesh_;
  MeshCoord coord_;
  std::unique_ptr<Communicator> ring_;
  std::unique_ptr<Communicator> ulysses_;
};

}  // namespace cogwheel
