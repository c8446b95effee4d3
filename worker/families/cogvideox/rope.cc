#include "worker/families/cogvideox/rope.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

constexpr double kTheta = 10000.0;

// Python's round(): half to even.
int64_t RoundHalfEven(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

// position · theta^(−2k/d) for k < d/2, each twice in a row: [positions, d] fp32.
at::Tensor AxisAngles(const at::Tensor& position, int64_t width) {
  const auto fp32 = at::TensorOptions(at::kFloat);
  const at::Tensor exponent = at::arange(0, width, 2, fp32) / static_cast<double>(width);
  const at::Tensor frequency = at::pow(at::Scalar(kTheta), exponent).reciprocal();
  return at::outer(position, frequency).repeat_interleave(2, /*dim=*/1);
}

// Positions first + k (last − first) / (count − 1): both ends included.
at::Tensor FittedAxis(int64_t first, int64_t stop, int64_t count) {
  const double last = static_cast<double>(stop * (count - 1)) / static_cast<double>(count);
  return at::linspace(static_cast<double>(first), last, count, at::TensorOptions(at::kFloat));
}

void CheckRuler(const char* axis, int64_t count, int64_t limit) {
  if (count > limit) {
    throw std::invalid_argument(std::string(axis) + " of " + std::to_string(count) +
                                " patches, the model's rotary range ends at " +
                                std::to_string(limit));
  }
}

struct AxisPositions {
  at::Tensor frame, row, column;  // fp32
};

AxisPositions GridPositions(const TransformerConfig& config, const PatchGrid& grid) {
  const auto fp32 = at::TensorOptions(at::kFloat);
  const int64_t base_rows = config.sample_height / config.patch_size;
  const int64_t base_columns = config.sample_width / config.patch_size;
  const at::Tensor frame = at::arange(grid.frames, fp32);
  if (config.patch_size_t) {
    CheckRotaryRange(config, grid);
    return {frame, at::arange(grid.rows, fp32), at::arange(grid.columns, fp32)};
  }
  const CropRegion crop = ResizeCropRegion(grid.rows, grid.columns, base_rows, base_columns);
  return {frame, FittedAxis(crop.top, crop.bottom, grid.rows),
          FittedAxis(crop.left, crop.right, grid.columns)};
}

}  // namespace

void CheckRotaryRange(const TransformerConfig& config, const PatchGrid& grid) {
  if (!config.version_1_5()) return;
  CheckRuler("height", grid.rows, config.sample_height / config.patch_size);
  CheckRuler("width", grid.columns, config.sample_width / config.patch_size);
}

TokenPositions PositionsOf(const PatchGrid& grid, Range tokens) {
  const at::Tensor token = at::arange(tokens.begin, tokens.end, at::TensorOptions(at::kLong));
  const at::Tensor line = at::floor_divide(token, grid.columns);  // frame · Y + row
  return {.frame = at::floor_divide(line, grid.rows),
          .row = at::remainder(line, grid.rows),
          .column = at::remainder(token, grid.columns)};
}

CropRegion ResizeCropRegion(int64_t rows, int64_t columns, int64_t base_rows,
                            int64_t base_columns) {
  const double h = static_cast<double>(rows), w = static_cast<double>(columns);
  const double base_h = static_cast<double>(base_rows), base_w = static_cast<double>(base_columns);
  int64_t fitted_rows = base_rows, fitted_columns = base_columns;
  if (h / w > base_h / base_w) {
    fitted_columns = RoundHalfEven(base_h / h * w);
  } else {
    fitted_rows = RoundHalfEven(base_w / w * h);
  }
  const int64_t top = RoundHalfEven(static_cast<double>(base_rows - fitted_rows) / 2.0);
  const int64_t left = RoundHalfEven(static_cast<double>(base_columns - fitted_columns) / 2.0);
  return {.top = top, .left = left, .bottom = top + fitted_rows, .right = left + fitted_columns};
}

Rotation RotaryTable(const TransformerConfig& config, const PatchGrid& grid, Range tokens) {
  const int64_t D = config.attention_head_dim;
  const int64_t frame_width = D / 4, side_width = D / 8 * 3;
  const AxisPositions axes = GridPositions(config, grid);
  const TokenPositions of = PositionsOf(grid, tokens);
  const at::Tensor angles =
      at::cat({AxisAngles(axes.frame, frame_width).index_select(0, of.frame),
               AxisAngles(axes.row, side_width).index_select(0, of.row),
               AxisAngles(axes.column, side_width).index_select(0, of.column)},
              1);  // [tokens, D]
  return {.cos = angles.cos(), .sin = angles.sin()};
}

}  // namespace cogwheel
