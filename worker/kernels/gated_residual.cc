#include "worker/kernels/gated_residual.h"

#include <ATen/ATen.h>

#include "worker/kernels/check_shape.h"

namespace cogwheel {
namespace {

void CheckGated(const at::Tensor& residual, const at::Tensor& update, int64_t text_count,
                const RowGates& gates) {
  TORCH_CHECK(residual.dim() == 3, "residual is ", residual.sizes(), ", expected [B, S, E]");
  const int64_t B = residual.size(0), S = residual.size(1), E = residual.size(2);
  TORCH_CHECK(text_count >= 0 && text_count <= S, text_count, " text rows of ", S);
  CheckShape(update, {B, S, E}, "update");
  CheckLike(update, residual, "update");
  if (text_count > 0) {
    CheckShape(gates.text, {B, E}, "text gate");
    CheckLike(gates.text, residual, "text gate");
  }
  if (text_count < S) {
    CheckShape(gates.video, {B, E}, "video gate");
    CheckLike(gates.video, residual, "video gate");
  }
}

}  // namespace

void AddGated(at::Tensor& residual, at::Tensor& update, int64_t text_count, const RowGates& gates) {
  CheckGated(residual, update, text_count, gates);
  if (residual.is_cuda()) {
    AddGatedCuda(residual, update, text_count, gates);
  } else {
    AddGatedAten(residual, update, text_count, gates);
  }
}

at::Tensor AddGatedNormModulate(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                                const RowGates& gates, const LayerNormWeights& norm,
                                const RowModulation& modulation) {
  CheckGated(residual, update, text_count, gates);
  CheckNormModulate(residual, text_count, norm, modulation);
  if (residual.is_cuda()) {
    return AddGatedNormModulateCuda(residual, update, text_count, gates, norm, modulation);
  }
  AddGatedAten(residual, update, text_count, gates);
  return LayerNormModulateAten(residual, text_count, norm, modulation);
}

}  // namespace cogwheel
