#pragma once

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/vae_footprint.h"

namespace cogwheel {

// Floating-point operations of the decoder's convolutions on one chunk, by the model's arithmetic:
// 2·k·C·C' for each number of C' channels that a kernel of k places makes of C. Norms and the like
// are left out. Pure.
// latents: the chunk, as the decoder receives it.
double DecodeOperations(const VaeConfig& config, const ChunkExtent& latents);

}  // namespace cogwheel
