#pragma once

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace cogwheel {

// How the reference cuts an image into overlapping tiles; one of these per direction (decode,
// encode). In units of the coder's input where it says in, of its output where it says out.
struct TileAxis {
  int64_t tile_in = 0;    // extent of a tile
  int64_t stride_in = 0;  // from one tile's start to the next
  int64_t blend_out = 0;  // rows or columns blended with the tile before
  int64_t keep_out = 0;   // of each tile
};
struct TilePlan {
  TileAxis height;
  TileAxis width;
};

// sample_height, sample_width: pixels, the VAE config's. Reference: enable_tiling's defaults.
TilePlan DecodeTilePlan(int64_t sample_height, int64_t sample_width);
TilePlan EncodeTilePlan(int64_t sample_height, int64_t sample_width);

// Runs `code` on every tile of x [B, C, F, H, W] and blends the results in raster order, in place:
// each with the already blended tile above, then with the one to its left (tiled_decode,
// tiled_encode of the reference; tiled and untiled results differ).
at::Tensor RunTiled(const at::Tensor& x, const TilePlan& plan,
                    const std::function<at::Tensor(const at::Tensor&)>& code);

}  // namespace cogwheel
