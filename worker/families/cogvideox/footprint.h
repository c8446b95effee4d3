#pragma once

#include <cstdint>

#include "worker/families/cogvideox/config.h"
#include "worker/families/footprint.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// What a job of CogVideoX takes of one rank's memory. element_bytes: of the model's dtype. Pure.
JobFootprint CountFootprint(const TransformerConfig& config, const Geometry& geometry, bool guided,
                            int64_t element_bytes);

// Of one prediction's activations alone, for so many branches.
int64_t ActivationBytes(const TransformerConfig& config, const Geometry& geometry, int64_t batch,
                        int64_t element_bytes);

}  // namespace cogwheel
