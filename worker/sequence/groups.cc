#include "worker/sequence/groups.h"

#include <stdexcept>
#include <vector>

namespace cogwheel {

SequenceGroups::SequenceGroups(Communicator& world, const Mesh& mesh)
    : mesh_(mesh), coord_(mesh.At(world.rank())) {
  if (world.size() != mesh.size()) {
    throw std::invalid_argument("mesh " + mesh.ToString() + " has " + std::to_string(mesh.size()) +
                                " places for " + std::to_string(world.size()) + " ranks");
  }
  std::vector<int> members;
  for (int ring = 0; ring < mesh.ring; ++ring) {
    members.push_back(mesh.RankAt({coord_.cfg, ring, coord_.ulysses}));
  }
  ring_ = world.Split(members, "ring");
  members.clear();
  for (int ulysses = 0; ulysses < mesh.ulysses; ++ulysses) {
    members.push_back(mesh.RankAt({coord_.cfg, coord_.ring, ulysses}));
  }
  ulysses_ = world.Split(members, "ulysses");
}

SequenceContext SequenceGroups::Context(int64_t text_count, int64_t video_count) const {
  return {.text_count = text_count,
          .video_count = video_count,
          .ring_size = mesh_.ring,
          .ring_rank = coord_.ring,
          .ulysses_size = mesh_.ulysses,
          .ulysses_rank = coord_.ulysses,
          .ring = ring_.get(),
          .ulysses = ulysses_.get()};
}

}  // namespace cogwheel
