#include "worker/families/cogvideox/embeddings.h"

#include <cmath>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

constexpr double kMaxPeriod = 10000.0;

// sin | cos of 0 .. count − 1 divided by scale, in fp64; the positions themselves are fp32.
at::Tensor AxisCode(int64_t count, double scale, int64_t width) {
  const at::Tensor position = at::arange(count, at::TensorOptions(at::kFloat)) / scale;
  const at::Tensor exponent =
      at::arange(width / 2, at::TensorOptions(at::kDouble)) / (static_cast<double>(width) / 2.0);
  const at::Tensor frequency = at::pow(at::Scalar(kMaxPeriod), exponent).reciprocal();
  const at::Tensor angle = at::outer(position.to(at::kDouble), frequency);
  return at::cat({angle.sin(), angle.cos()}, 1);  // [count, width]
}

}  // namespace

at::Tensor SinusoidVector(double value, int64_t width) {
  const int64_t half = width / 2;
  const at::Tensor exponent = at::arange(half, at::TensorOptions(at::kFloat)) *
                              -std::log(kMaxPeriod) / static_cast<double>(half);
  const at::Tensor angle = exponent.exp() * value;
  return at::cat({angle.cos(), angle.sin()}).unsqueeze(0);  // [1, width]
}

at::Tensor SinCosTable(const TransformerConfig& config, const PatchGrid& grid, Range tokens) {
  const int64_t E = config.width();
  const int64_t frame_width = E / 4, side_width = E / 8 * 3;
  const double scale = config.spatial_interpolation_scale;
  const TokenPositions of = PositionsOf(grid, tokens);
  return at::cat({AxisCode(grid.frames, config.temporal_interpolation_scale, frame_width)
                      .index_select(0, of.frame),
                  AxisCode(grid.columns, scale, side_width).index_select(0, of.column),
                  AxisCode(grid.rows, scale, side_width).index_select(0, of.row)},
                 1);  // [tokens, E]
}

}  // namespace cogwheel
