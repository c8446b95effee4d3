#include "worker/pipeline/group_links.h"

#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace cogwheel {

GroupLinks::GroupLinks(Communicator& world) : world_(world) {
  std::vector<int> all(world.size());
  std::iota(all.begin(), all.end(), 0);
  carries_ = world.Split(all, "carries");
  frames_ = world.Split(all, "frames");
}

const MeshLinks& GroupLinks::ForMesh(const Mesh& mesh) {
  const auto known = links_.find(mesh.ToString());
  if (known != links_.end()) return known->second;
  return links_.emplace(mesh.ToString(), MakeMeshLinks(world_, mesh)).first->second;
}

void MeetOnHosts(Communicator& world) {
  const std::byte here{};
  std::vector<std::byte> all(world.size());
  std::vector<std::span<std::byte>> parts;
  for (std::byte& each : all) parts.emplace_back(&each, 1);
  AllGather(world, std::span(&here, 1), parts, /*stream=*/nullptr);
}

}  // namespace cogwheel
