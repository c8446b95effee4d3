#include "worker/kernels/layer_norm_modulate.h"

#include <ATen/ATen.h>

#include "worker/kernels/check_shape.h"

namespace cogwheel {

at::Tensor LayerNormModulate(const at::Tensor& rows, int64_t text_count,
                             const LayerNormWeights& norm, const RowModulation& modulation) {
  CheckNormModulate(rows, text_count, norm, modulation);
  return rows.is_cuda() ? LayerNormModulateCuda(rows, text_count, norm, modulation)
                        : LayerNormModulateAten(rows, text_count, norm, modulation);
}

void CheckNormModulate(const at::Tensor& rows, int64_t text_count, const LayerNormWeights& norm,
                       const RowModulation& modulation) {
  TORCH_CHECK(rows.dim() == 3, "rows are ", rows.sizes(), ", expected [B, S, E]");
  const int64_t B = rows.size(0), S = rows.size(1), E = rows.size(2);
  TORCH_CHECK(text_count >= 0 && text_count <= S, text_count, " text rows of ", S);
  CheckShape(norm.weight, {E}, "norm weight");
  CheckShape(norm.bias, {E}, "norm bias");
  CheckLike(norm.weight, rows, "norm weight");
  if (text_count > 0) {
    CheckShape(modulation.text_shift, {B, E}, "text shift");
    CheckShape(modulation.text_scale, {B, E}, "text scale");
    CheckLike(modulation.text_scale, rows, "text scale");
  }
  if (text_count < S) {
    CheckShape(modulation.video_shift, {B, E}, "video shift");
    CheckShape(modulation.video_scale, {B, E}, "video scale");
    CheckLike(modulation.video_scale, rows, "video scale");
  }
}

}  // namespace cogwheel
