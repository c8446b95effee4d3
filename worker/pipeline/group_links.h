#pragma once

#include <map>
#include <memory>
#include <string>

#include "worker/comm/communicator.h"
#include "worker/sequence/links.h"
#include "worker/sequence/mesh.h"

namespace cogwheel {

// Communicators that live as long as the group: one set for each mesh a job may have, and two for
// the decode over the whole world. Owned by the rank thread.
class GroupLinks {
 public:
  // Every rank of `world` makes it, in the same order as its other splits.
  explicit GroupLinks(Communicator& world);

  const Communicator& world() const { return world_; }
  Communicator& carries() { return *carries_; }
  Communicator& frames() { return *frames_; }
  // Made when a job first has the mesh, on all ranks alike.
  const MeshLinks& ForMesh(const Mesh& mesh);

 private:
  Communicator& world_;
  std::unique_ptr<Communicator> carries_, frames_;
  std::map<std::string, MeshLinks> links_;  // by mesh
};

// Waits until all ranks have come here. Behind the making of links nobody is left in it, so that
// the work may be abandoned (Communicator::Abandon).
void MeetOnHosts(Communicator& world);

}  // namespace cogwheel
