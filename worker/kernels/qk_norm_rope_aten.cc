#include <ATen/ATen.h>

#include "worker/kernels/qk_norm_rope.h"

namespace cogwheel {

at::Tensor QkNormRopeAten(const at::Tensor& heads, int64_t text_count, const LayerNormWeights& norm,
                          const Rotation& rotation) {
  const int64_t S = heads.size(1), D = heads.size(3);
  const at::Tensor out = at::layer_norm(heads, {D}, norm.weight, norm.bias, norm.epsilon);
  if (!rotation.cos.defined() || text_count == S) return out;
  const at::Tensor video = out.narrow(1, text_count, S - text_count);  // [B, V, N, D]
  const at::Tensor x = video.to(at::kFloat);
  // turned[2i] = −x[2i+1], turned[2i+1] = x[2i]
  const at::Tensor pairs = x.unflatten(-1, {D / 2, 2});
  const at::Tensor turned = at::stack({-pairs.select(-1, 1), pairs.select(-1, 0)}, -1).flatten(-2);
  const at::Tensor cos = rotation.cos.unsqueeze(1), sin = rotation.sin.unsqueeze(1);  // [V, 1, D]
  video.copy_((x * cos).addcmul_(turned, sin));
  return out;
}

}  // namespace cogwheel
