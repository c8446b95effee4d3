#include <ATen/ATen.h>

#include "worker/kernels/norm_silu.h"

namespace cogwheel {
namespace {

// Source frame, row or column of nearest resizing: floor(dst * in / out).
at::Tensor NearestIndices(int64_t in, int64_t out, const at::Device& device) {
  const at::Tensor dst = at::arange(out, at::TensorOptions(at::kLong));
  return at::floor_divide(dst * in, out).to(device);
}

// The first of an odd number of frames maps to the first latent frame alone, the others among
// themselves; an even number, or one frame, all together.
at::Tensor LatentFrames(int64_t in, int64_t out, const at::Device& device) {
  if (out <= 1 || out % 2 == 0) return NearestIndices(in, out, device);
  const at::Tensor first = at::zeros({1}, at::TensorOptions(at::kLong).device(device));
  return at::cat({first, 1 + NearestIndices(in - 1, out - 1, device)});
}

// [B, C, t, h, w] gathered to the frames, rows and columns of `like`.
at::Tensor ResizeLike(const at::Tensor& x, const at::Tensor& like) {
  const at::Device device = x.device();
  return x.index_select(2, LatentFrames(x.size(2), like.size(2), device))
      .index_select(3, NearestIndices(x.size(3), like.size(3), device))
      .index_select(4, NearestIndices(x.size(4), like.size(4), device));
}

}  // namespace

at::Tensor NormSiluPaddedAten(const at::Tensor& x, const GroupNormWeights& norm,
                              const LatentModulation& modulation, int64_t pad) {
  at::Tensor out = at::group_norm(x, norm.groups, norm.weight, norm.bias, norm.epsilon);
  if (modulation.scale.defined()) {
    // One resized tensor at a time: at full size each is as large as x.
    out.mul_(ResizeLike(modulation.scale, x));
    out.add_(ResizeLike(modulation.shift, x));
  }
  at::silu_(out);
  if (pad == 0) return out;
  at::Tensor padded =
      at::empty({x.size(0), x.size(1), pad + x.size(2), x.size(3), x.size(4)}, x.options());
  padded.narrow(2, pad, x.size(2)).copy_(out);
  return padded;
}

}  // namespace cogwheel
