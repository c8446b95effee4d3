#pragma once

#include <compare>
#include <cstdint>

#include "worker/families/cogvideox/config.h"

// What the VAE's networks hold at most, in numbers of the model's dtype, for one chunk: a walk
// through vae_coders.cc with extents in place of tensors. Pure.
namespace cogwheel {

struct ChunkExtent {
  int64_t frames = 0, height = 0, width = 0;
  int64_t count() const { return frames * height * width; }
  friend auto operator<=>(const ChunkExtent&, const ChunkExtent&) = default;
};

// How convolutions work.
enum class ConvMethod {
  kReordered,  // copies of input, result and weights in the library's own order (oneDNN); on GPUs a
               // work space, for which as much is allowed: cuDNN takes a smaller one where it must
  kColumns,    // every input value once for each place of the kernel (ATen's own)
  kBySize,     // small ones by columns, others reordered: ATen's choice for fp32 on CPUs
};

struct ChunkNumbers {
  int64_t peak = 0;   // at once, with input and result, carries apart
  int64_t carry = 0;  // what the chunk leaves for the next
};

// latents: one chunk, as the decoder receives it.
ChunkNumbers DecodeChunkNumbers(const VaeConfig& config, const ChunkExtent& latents,
                                ConvMethod method);
// pixels: one chunk, as the encoder receives it.
ChunkNumbers EncodeChunkNumbers(const VaeConfig& config, const ChunkExtent& pixels,
                                ConvMethod method);

}  // namespace cogwheel
