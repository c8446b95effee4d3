#pragma once

#include <cstdint>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "worker/sequence/shard.h"

namespace cogwheel {

// Shape of a job's latents, [1, frames, channels, height, width], and their patches.
struct LatentShape {
  int64_t frames = 0, channels = 0, height = 0, width = 0;  // latent units, padding included
  int64_t patch_size_t = 1, patch_size = 2;

  int64_t row_count() const {
    return DivExact(frames, patch_size_t) * DivExact(height, patch_size) *
           DivExact(width, patch_size);
  }
  int64_t row_features() const { return channels * patch_size_t * patch_size * patch_size; }
};

// The reference's random numbers for one seed: those of a CPU torch.Generator, drawn in the
// pipeline's dtype (another dtype is another stream). Every rank draws the whole stream in the
// reference's order - image posterior, latents, DPM noise with the discarded draws - and keeps its
// rows, on its device. Owned by the rank thread.
class NoiseStream {
 public:
  NoiseStream(uint64_t seed, at::ScalarType dtype, at::Device device = at::kCPU);

  // Standard normal.
  at::Tensor Draw(at::IntArrayRef shape);
  // Draws whole latents and throws them away.
  void Skip(const LatentShape& shape);
  // Draws whole latents, patchifies and keeps `rows` → [1, rows, C·pt·p·p].
  at::Tensor DrawRows(const LatentShape& shape, Range rows);

 private:
  at::Tensor DrawOnCpu(at::IntArrayRef shape);
  at::Tensor DrawLatents(const LatentShape& shape);
  at::Tensor ToDevice(const at::Tensor& drawn) const;

  at::Generator generator_;
  const at::ScalarType dtype_;
  const at::Device device_;
};

}  // namespace cogwheel
