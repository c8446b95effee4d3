#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace cogwheel {

// How a codec cuts an image into overlapping tiles; one of these per direction (decode,
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

// One tile of the coder's input.
struct TileRect {
  int64_t top = 0, left = 0, height = 0, width = 0;
};
// The tiles of an input of this size in raster order, `columns` a row.
struct TileGrid {
  int64_t columns = 0;
  std::vector<TileRect> tiles;
};
TileGrid CutTiles(int64_t height, int64_t width, const TilePlan& plan);
// What the kept parts of an axis' tiles add up to; `coded` says what becomes of a tile's extent. It
// need not be what becomes of the whole: where the parts do not fit the stride, as the reference's
// need not, the result has another size.
int64_t TiledExtent(int64_t extent_in, const TileAxis& axis,
                    const std::function<int64_t(int64_t)>& coded);
// Of x [B, C, F, H, W]; a view.
at::Tensor TileOf(const at::Tensor& x, const TileRect& rect);

// Puts coded tiles together, in place and in raster order: each is blended with the already blended
// tile above, then with the one to its left (tiled_decode, tiled_encode of the reference; tiled and
// untiled results differ). Keeps one row of tiles besides what it has put together.
class TileBlender {
 public:
  TileBlender(const TilePlan& plan, int64_t columns) : plan_(plan), columns_(columns) {}
  // The next tile of the raster.
  void Add(at::Tensor tile);
  // Once all are there.
  at::Tensor Result() const;

 private:
  const TilePlan plan_;
  const int64_t columns_;
  std::vector<at::Tensor> above_, row_, kept_, result_rows_;
};

// Runs `code` on every tile of x [B, C, F, H, W] and blends the results.
at::Tensor RunTiled(const at::Tensor& x, const TilePlan& plan,
                    const std::function<at::Tensor(const at::Tensor&)>& code);

}  // namespace cogwheel
