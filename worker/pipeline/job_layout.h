#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/pipeline/noise.h"
#include "worker/sequence/mesh.h"
#include "worker/sequence/shard.h"

namespace cogwheel {

// Which rows of a job's text and video every world rank owns. Both guidance halves own the same
// ones.
struct JobLayout {
  Mesh mesh;  // the job's: Mesh::ForGuidance applied
  int64_t text_count = 0;
  LatentShape latents;

  JointShard ShardOf(int world_rank) const {
    return SplitJoint(text_count, latents.row_count(), mesh.shard_count(),
                      mesh.ShardOf(world_rank));
  }
  Range VideoRows(int world_rank) const { return ShardOf(world_rank).video; }
  Range TextRows(int world_rank) const { return ShardOf(world_rank).text; }
};

// Whole latents [1, F, C, h, w] on every rank from rows [1, V_local, C·pt·p·p] of each. The only
// gather of a job's latents; ranks of the second guidance half send nothing.
at::Tensor GatherLatents(const JobLayout& layout, const at::Tensor& rows, Communicator& world);

}  // namespace cogwheel
