#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/vae_tiling.h"
#include "worker/sequence/wavefront.h"

namespace cogwheel {

class Weights;

// AutoencoderKLCogVideoX (diffusers models/autoencoders/autoencoder_kl_cogvideox.py). Owned by the
// rank thread.
class Vae {
 public:
  static std::unique_ptr<Vae> Load(const VaeConfig& config, const Weights& weights,
                                   at::Device device, at::ScalarType dtype, bool with_encoder);
  virtual ~Vae() = default;

  // Latent frames per chunk: 3 first when odd, else 2 (reference num_latent_frames_batch_size).
  static std::vector<int64_t> DecodeChunks(int64_t latent_frames);
  static std::vector<int64_t> EncodeChunks(int64_t pixel_frames);

  // latents: [B, C, f, h, w], one chunk, already divided by the scaling factor → [B, 3, 4f or
  // 4(f-1)+1, 8h, 8w].
  virtual at::Tensor DecodeChunk(const at::Tensor& latents, ConvCarry& carry) const = 0;
  // Serial decode of a whole clip, chunk by chunk, with one carry; the truth that the wavefront
  // must equal.
  virtual at::Tensor Decode(const at::Tensor& latents) const = 0;
  // The reference's tiled decode (its overlap and blending), each tile with its own carry; the
  // truth that pipeline/tiled_decode must equal.
  virtual at::Tensor DecodeTiled(const at::Tensor& latents) const = 0;
  virtual TilePlan DecodePlan() const = 0;
  // True when the reference would tile this size with tiling enabled.
  virtual bool TilesDecode(int64_t latent_height, int64_t latent_width) const = 0;
  // pixels: [B, 3, F, H, W] in [-1, 1] → posterior parameters [B, 2C, f, h, w] (mean | log
  // variance). `tiled` as above.
  virtual at::Tensor Encode(const at::Tensor& pixels, bool tiled) const = 0;

  virtual const VaeConfig& config() const = 0;
};

}  // namespace cogwheel
