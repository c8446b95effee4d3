#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/finding.h"
#include "worker/families/footprint.h"
#include "worker/families/model_description.h"
#include "worker/sequence/mesh.h"

namespace cogwheel {

// What ranks may still take: together of one host's memory, or each of its own limit or GPU.
struct MemoryToShare {
  int64_t bytes = 0;
  std::string limit;  // what sets it: "cgroup memory.max", "GPU 0"
  bool each = false;
  // What a rank takes of it beside tensors: LibTorch, gRPC, stacks; on a GPU libraries' work
  // spaces.
  int64_t beside_tensors = 256 << 20;
};

// A job as the model makes it where nothing is asked for.
JobShape DefaultShape(const ModelDescription& model);

// Whether the weights and a job of this shape fit on the mesh, with the bytes asked and free, and
// as the way out those of `others` that fit. Behind it a fact: what each of them takes. Pure.
Findings CheckMemory(const Footprints& footprints, const JobShape& shape, const Mesh& mesh,
                     const std::vector<Mesh>& others, const MemoryToShare& room);

// "1 rank", or the flags that make it.
std::string MeshFlags(const Mesh& mesh);

}  // namespace cogwheel
