#pragma once

#include <ATen/core/Tensor.h>

#include "worker/pipeline/decode.h"

namespace cogwheel {

// The reference's tiled decode on all ranks: tile t of the raster runs on rank t mod W, chunk by
// chunk with its own carry, so no rank needs another's frames; rank 0 takes the finished tiles in
// raster order, blends them and hands the whole clip to the sink. The numbers are the serial ones.
// The ranks agree before every chunk of their tiles.
//
// latents: [1, C, F, h, w], whole on every rank, divided by the scaling factor.
void DecodeTiles(const DecodeJob& job, const at::Tensor& latents);

}  // namespace cogwheel
