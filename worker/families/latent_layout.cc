#include "worker/families/latent_layout.h"

#include <ATen/ATen.h>

namespace cogwheel {

// out[b][(t·Y + y)·X + x][((c·pt + dt)·p + dy)·p + dx] = in[b][t·pt + dt][c][y·p + dy][x·p + dx]
at::Tensor Patchify(const at::Tensor& latents, int64_t patch_size_t, int64_t patch_size) {
  TORCH_CHECK(latents.dim() == 5, "latents are ", latents.sizes(), ", expected [B, F, C, H, W]");
  const int64_t B = latents.size(0), C = latents.size(2), pt = patch_size_t, p = patch_size;
  const int64_t F = DivExact(latents.size(1), pt), Y = DivExact(latents.size(3), p),
                X = DivExact(latents.size(4), p);
  return latents.reshape({B, F, pt, C, Y, p, X, p})
      .permute({0, 1, 4, 6, 3, 2, 5, 7})  // [B, F, Y, X, C, pt, p, p]
      .reshape({B, F * Y * X, C * pt * p * p});
}

// The inverse.
at::Tensor Unpatchify(const at::Tensor& patches, int64_t frames, int64_t height, int64_t width,
                      int64_t patch_size_t, int64_t patch_size) {
  TORCH_CHECK(patches.dim() == 3, "patches are ", patches.sizes(), ", expected [B, V, features]");
  const int64_t B = patches.size(0), pt = patch_size_t, p = patch_size;
  const int64_t F = DivExact(frames, pt), Y = DivExact(height, p), X = DivExact(width, p);
  const int64_t C = DivExact(patches.size(2), pt * p * p);
  TORCH_CHECK(patches.size(1) == F * Y * X, patches.size(1), " patches for a grid of ", F, " x ", Y,
              " x ", X);
  return patches.reshape({B, F, Y, X, C, pt, p, p})
      .permute({0, 1, 5, 4, 2, 6, 3, 7})  // [B, F, pt, C, Y, p, X, p]
      .reshape({B, frames, C, height, width});
}

}  // namespace cogwheel
