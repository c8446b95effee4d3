#include "worker/model/vae_tiling.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

constexpr int64_t kCompression = 8;
constexpr double kOverlapHeight = 1.0 / 6;
constexpr double kOverlapWidth = 1.0 / 5;
constexpr int64_t kHeightDim = 3, kWidthDim = 4;

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

// tile[k] = before[size - n + k]·(1 - k/n) + tile[k]·(k/n) for k < n, along `dim`.
void Blend(const at::Tensor& before, at::Tensor& tile, int64_t dim, int64_t extent) {
  const int64_t n = std::min({before.size(dim), tile.size(dim), extent});
  for (int64_t k = 0; k < n; ++k) {
    const double share = static_cast<double>(k) / static_cast<double>(n);
    at::Tensor line = tile.select(dim, k);
    line.copy_(before.select(dim, before.size(dim) - n + k) * (1 - share) + line * share);
  }
}

at::Tensor Keep(const at::Tensor& tile, const TilePlan& plan) {
  return tile.narrow(kHeightDim, 0, std::min(plan.height.keep_out, tile.size(kHeightDim)))
      .narrow(kWidthDim, 0, std::min(plan.width.keep_out, tile.size(kWidthDim)));
}

}  // namespace

TilePlan DecodeTilePlan(int64_t sample_height, int64_t sample_width) {
  const int64_t height = sample_height / 2, width = sample_width / 2;
  return {.height = MakeAxis(height / kCompression, height, kOverlapHeight),
          .width = MakeAxis(width / kCompression, width, kOverlapWidth)};
}

TilePlan EncodeTilePlan(int64_t sample_height, int64_t sample_width) {
  const int64_t height = sample_height / 2, width = sample_width / 2;
  return {.height = MakeAxis(height, height / kCompression, kOverlapHeight),
          .width = MakeAxis(width, width / kCompression, kOverlapWidth)};
}

at::Tensor RunTiled(const at::Tensor& x, const TilePlan& plan,
                    const std::function<at::Tensor(const at::Tensor&)>& code) {
  std::vector<at::Tensor> above, result_rows;
  for (int64_t y = 0; y < x.size(kHeightDim); y += plan.height.stride_in) {
    std::vector<at::Tensor> row, kept;
    const at::Tensor band =
        x.narrow(kHeightDim, y, std::min(plan.height.tile_in, x.size(kHeightDim) - y));
    for (int64_t left = 0; left < x.size(kWidthDim); left += plan.width.stride_in) {
      at::Tensor tile = code(
          band.narrow(kWidthDim, left, std::min(plan.width.tile_in, x.size(kWidthDim) - left)));
      if (!above.empty()) Blend(above[row.size()], tile, kHeightDim, plan.height.blend_out);
      if (!row.empty()) Blend(row.back(), tile, kWidthDim, plan.width.blend_out);
      row.push_back(tile);
      kept.push_back(Keep(tile, plan));
    }
    result_rows.push_back(at::cat(kept, kWidthDim));
    above = std::move(row);
  }
  return at::cat(result_rows, kHeightDim);
}

}  // namespace cogwheel
