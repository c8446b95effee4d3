#pragma once

#include <cstdint>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "worker/families/latent_layout.h"

namespace cogwheel {

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
  void Skip(const LatentLayout& layout);
  // Draws whole latents, patchifies and keeps `rows` → [1, rows, C·pt·p·p].
  at::Tensor DrawRows(const LatentLayout& layout, Range rows);

 private:
  at::Tensor DrawOnCpu(at::IntArrayRef shape);
  at::Tensor DrawLatents(const LatentLayout& layout);
  at::Tensor ToDevice(const at::Tensor& drawn) const;

  at::Generator generator_;
  const at::ScalarType dtype_;
  const at::Device device_;
};

}  // namespace cogwheel
