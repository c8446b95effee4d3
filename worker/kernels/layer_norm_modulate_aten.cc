#include <ATen/ATen.h>

#include "worker/kernels/layer_norm_modulate.h"

namespace cogwheel {
namespace {

// rows: [B, s, E], in place.
void Modulate(at::Tensor rows, const at::Tensor& shift, const at::Tensor& scale) {
  rows.mul_((scale + 1).unsqueeze(1)).add_(shift.unsqueeze(1));
}

}  // namespace

at::Tensor LayerNormModulateAten(const at::Tensor& rows, int64_t text_count,
                                 const LayerNormWeights& norm, const RowModulation& modulation) {
  const int64_t S = rows.size(1), E = rows.size(2);
  at::Tensor out = at::layer_norm(rows, {E}, norm.weight, norm.bias, norm.epsilon);  // [B, S, E]
  if (text_count > 0) {
    Modulate(out.narrow(1, 0, text_count), modulation.text_shift, modulation.text_scale);
  }
  if (text_count < S) {
    Modulate(out.narrow(1, text_count, S - text_count), modulation.video_shift,
             modulation.video_scale);
  }
  return out;
}

}  // namespace cogwheel
