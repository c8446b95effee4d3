#pragma once

#include <cstdint>

#include "worker/families/tiling.h"

namespace cogwheel {

// The defaults of the reference's enable_tiling. sample_height, sample_width: pixels, the VAE
// config's.
TilePlan DecodeTilePlan(int64_t sample_height, int64_t sample_width);
TilePlan EncodeTilePlan(int64_t sample_height, int64_t sample_width);

}  // namespace cogwheel
