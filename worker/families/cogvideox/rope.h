#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/kernels/qk_norm_rope.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// Frame, row and column of each video token of a range, [tokens] int64; tokens run in t, row,
// column order.
struct TokenPositions {
  at::Tensor frame, row, column;
};
TokenPositions PositionsOf(const PatchGrid& grid, Range tokens);

// Where the grid of a 1.0 model lies on its base grid, keeping the aspect: the first and one past
// the last position on each axis (pipeline_cogvideox.py get_resize_crop_region_for_grid).
struct CropRegion {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  friend bool operator==(const CropRegion&, const CropRegion&) = default;
};
CropRegion ResizeCropRegion(int64_t rows, int64_t columns, int64_t base_rows, int64_t base_columns);

// Throws std::invalid_argument for a grid past the ruler of a 1.5 model.
void CheckRotaryRange(const TransformerConfig& config, const PatchGrid& grid);

// cos and sin of these video tokens, [tokens, D] fp32 on the CPU; D splits into 1/4 frame, 3/8 row,
// 3/8 column. Throws as CheckRotaryRange.
// Follows _prepare_rotary_positional_embeddings of the pipeline and get_3d_rotary_pos_embed
// (diffusers models/embeddings.py).
Rotation RotaryTable(const TransformerConfig& config, const PatchGrid& grid, Range tokens);

}  // namespace cogwheel
