#pragma once

#include <cstdint>

#include "worker/families/cogvideox/config.h"
#include "worker/sequence/mesh.h"

namespace cogwheel {

// Floating-point operations of one prediction on one rank, by the model's arithmetic: per layer and
// branch 24·N·d² in the linear layers and 4·N²·d in attention, of which a rank has its rows of the
// one and its ring block's rows times its heads of the other. Norms, embeddings and the like are
// left out, below 1 % at full size. The ranks of a mesh sum up to the whole. Pure.
// mesh: the job's; joint_count: N, text and video rows; branches: those this rank computes.
double StepOperations(const TransformerConfig& config, const Mesh& mesh, int world_rank,
                      int64_t joint_count, int64_t branches);

}  // namespace cogwheel
