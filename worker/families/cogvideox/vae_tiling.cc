#include "worker/families/cogvideox/vae_tiling.h"

#include <algorithm>

#include "worker/families/cogvideox/config.h"

namespace cogwheel {
namespace {

constexpr double kOverlapHeight = 1.0 / 6;
constexpr double kOverlapWidth = 1.0 / 5;

// Truncated like the reference's int(extent * factor), in the same double arithmetic.
int64_t Part(int64_t extent, double factor) {
  return static_cast<int64_t>(static_cast<double>(extent) * factor);
}

TileAxis MakeAxis(int64_t tile_in, int64_t tile_out, double overlap) {
  const int64_t blend = Part(tile_out, overlap);
  return {.tile_in = tile_in,
          .stride_in = std::max<int64_t>(Part(tile_in, 1 - overlap), 1),
          .blend_out = blend,
          .keep_out = tile_out - blend};
}

}  // namespace

TilePlan DecodeTilePlan(int64_t sample_height, int64_t sample_width) {
  const int64_t height = sample_height / 2, width = sample_width / 2;
  return {.height = MakeAxis(height / kPixelsPerLatent, height, kOverlapHeight),
          .width = MakeAxis(width / kPixelsPerLatent, width, kOverlapWidth)};
}

TilePlan EncodeTilePlan(int64_t sample_height, int64_t sample_width) {
  const int64_t height = sample_height / 2, width = sample_width / 2;
  return {.height = MakeAxis(height, height / kPixelsPerLatent, kOverlapHeight),
          .width = MakeAxis(width, width / kPixelsPerLatent, kOverlapWidth)};
}

}  // namespace cogwheel
