#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace cogwheel {

struct GroupNormWeights {
  at::Tensor weight, bias;  // [C]
  int64_t groups = 1;
  double epsilon = 1e-6;
};

// Scale and shift of every pixel, at the resolution of a latent chunk: [B, C, t, h, w]. Pixel
// (T, H, W) of the larger clip takes the nearest one: floor(dst · in / out) on each axis, but the
// first of an odd number of frames takes the first latent frame alone and the others share the
// rest. Both undefined: none.
struct LatentModulation {
  at::Tensor scale, shift;
};

// silu(GroupNorm(x) · scale + shift), statistics over a group's channels and all frames, rows and
// columns of x [B, C, T, H, W], behind `pad` frames that are left for the caller to fill:
// → [B, C, pad + T, H, W], x's dtype. On a GPU channels are innermost in memory.
// Follows CogVideoXSpatialNorm3D and the nonlinearity behind it (diffusers
// models/autoencoders/autoencoder_kl_cogvideox.py).
at::Tensor NormSiluPadded(const at::Tensor& x, const GroupNormWeights& norm,
                          const LatentModulation& modulation, int64_t pad);

// By ATen's operations, on any device, rounding after each step, and the GPU's kernel, which rounds
// once; the entry above has checked shapes.
at::Tensor NormSiluPaddedAten(const at::Tensor& x, const GroupNormWeights& norm,
                              const LatentModulation& modulation, int64_t pad);
at::Tensor NormSiluPaddedCuda(const at::Tensor& x, const GroupNormWeights& norm,
                              const LatentModulation& modulation, int64_t pad);

}  // namespace cogwheel
