#pragma once

#include <cstdint>

#include "worker/families/cogvideox/config.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// Floating-point operations of one prediction on one rank, by the model's arithmetic: per layer and
// branch 24·S·E² in the linear layers and 4·S²·E in attention, of which a rank has its rows of the
// one and its ring block's rows times its heads of the other. Norms, embeddings and the like are
// left out, below 1 % at full size. The ranks of a mesh sum up to the whole. Pure.
// branches: those this rank computes.
double StepOperations(const TransformerConfig& config, const Geometry& geometry, int branches);

}  // namespace cogwheel
