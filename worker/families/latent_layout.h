#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/sequence/geometry.h"

namespace cogwheel {

// A clip's latents, [1, frames, channels, height, width], and how they are cut into the video rows
// of the joint sequence: patches of pt frames, p latent rows and p columns.
struct LatentLayout {
  int64_t frames = 0, channels = 0, height = 0, width = 0;  // latent units, padding included
  int64_t leading_padding = 0;  // frames at the front that are no part of the clip
  int64_t patch_size_t = 1, patch_size = 2;

  // F, Y, X. Throws std::invalid_argument where patches do not divide.
  PatchGrid grid() const {
    return {.frames = DivExact(frames, patch_size_t),
            .rows = DivExact(height, patch_size),
            .columns = DivExact(width, patch_size)};
  }
  int64_t row_count() const { return grid().token_count(); }
  int64_t row_features() const { return channels * patch_size_t * patch_size * patch_size; }
};

// [B, F, C, H, W] ↔ [B, F·H·W/(pt·p·p), C·pt·p·p], rows in t, row, column order, features in the
// order ((c·pt + dt)·p + dy)·p + dx.
at::Tensor Patchify(const at::Tensor& latents, int64_t patch_size_t, int64_t patch_size);
at::Tensor Unpatchify(const at::Tensor& patches, int64_t frames, int64_t height, int64_t width,
                      int64_t patch_size_t, int64_t patch_size);

// The same for whole latents of a layout.
inline at::Tensor Patchify(const at::Tensor& latents, const LatentLayout& layout) {
  return Patchify(latents, layout.patch_size_t, layout.patch_size);
}
inline at::Tensor Unpatchify(const at::Tensor& patches, const LatentLayout& layout) {
  return Unpatchify(patches, layout.frames, layout.height, layout.width, layout.patch_size_t,
                    layout.patch_size);
}

}  // namespace cogwheel
