#include "worker/families/tiling.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

constexpr int64_t kHeightDim = 3, kWidthDim = 4;

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

TileGrid CutTiles(int64_t height, int64_t width, const TilePlan& plan) {
  TileGrid grid;
  for (int64_t top = 0; top < height; top += plan.height.stride_in) {
    for (int64_t left = 0; left < width; left += plan.width.stride_in) {
      grid.tiles.push_back({.top = top,
                            .left = left,
                            .height = std::min(plan.height.tile_in, height - top),
                            .width = std::min(plan.width.tile_in, width - left)});
    }
    if (top == 0) grid.columns = static_cast<int64_t>(grid.tiles.size());
  }
  return grid;
}

int64_t TiledExtent(int64_t extent_in, const TileAxis& axis,
                    const std::function<int64_t(int64_t)>& coded) {
  int64_t kept = 0;
  for (int64_t begin = 0; begin < extent_in; begin += axis.stride_in) {
    kept += std::min(axis.keep_out, coded(std::min(axis.tile_in, extent_in - begin)));
  }
  return kept;
}

at::Tensor TileOf(const at::Tensor& x, const TileRect& rect) {
  return x.narrow(kHeightDim, rect.top, rect.height).narrow(kWidthDim, rect.left, rect.width);
}

void TileBlender::Add(at::Tensor tile) {
  if (!above_.empty()) Blend(above_[row_.size()], tile, kHeightDim, plan_.height.blend_out);
  if (!row_.empty()) Blend(row_.back(), tile, kWidthDim, plan_.width.blend_out);
  kept_.push_back(Keep(tile, plan_));
  row_.push_back(std::move(tile));
  if (static_cast<int64_t>(row_.size()) < columns_) return;
  result_rows_.push_back(at::cat(kept_, kWidthDim));
  kept_.clear();
  above_ = std::exchange(row_, {});
}

at::Tensor TileBlender::Result() const { return at::cat(result_rows_, kHeightDim); }

at::Tensor RunTiled(const at::Tensor& x, const TilePlan& plan,
                    const std::function<at::Tensor(const at::Tensor&)>& code) {
  const TileGrid grid = CutTiles(x.size(kHeightDim), x.size(kWidthDim), plan);
  TileBlender blender(plan, grid.columns);
  for (const TileRect& rect : grid.tiles) blender.Add(code(TileOf(x, rect)));
  return blender.Result();
}

}  // namespace cogwheel
