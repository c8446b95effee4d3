#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/vae_coders.h"
#include "worker/families/model.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {

// AutoencoderKLCogVideoX (diffusers models/autoencoders/autoencoder_kl_cogvideox.py). Owned by the
// rank thread.
class Vae final : public Codec {
 public:
  static std::unique_ptr<Vae> Load(const VaeConfig& config, const WeightSource& weights,
                                   at::Device device, at::ScalarType dtype, bool with_encoder);
  Vae(const VaeConfig& config, const VaeLoader& loader, bool with_encoder);

  // 3 first when odd, else 2 (reference num_latent_frames_batch_size).
  static std::vector<int64_t> DecodeChunksOf(int64_t latent_frames);
  std::vector<int64_t> DecodeChunks(int64_t latent_frames) const override {
    return DecodeChunksOf(latent_frames);
  }
  static std::vector<int64_t> EncodeChunks(int64_t pixel_frames);

  int64_t pixels_per_latent() const override { return kPixelsPerLatent; }
  // 4f, or 4(f-1)+1 of an odd chunk, whose first frame stands for itself.
  static int64_t PixelFramesOf(int64_t chunk_frames);
  int64_t PixelFrames(int64_t chunk_frames) const override { return PixelFramesOf(chunk_frames); }
  at::Tensor Unscale(const at::Tensor& latents) const override;
  at::Tensor DecodeChunk(const at::Tensor& latents, ConvCarry& carry) const override;
  double DecodeOperations(int64_t frames, int64_t height, int64_t width) const override;
  TilePlan DecodePlan() const override;
  bool TilesDecode(int64_t latent_height, int64_t latent_width) const override;
  void CheckTiling(const ClipSize& size, bool has_picture) const override;
  at::Tensor EncodePicture(const Picture& picture, const ClipSize& size, bool tiled) const override;
  at::Tensor SampleLatent(const at::Tensor& posterior, const at::Tensor& noise) const override;

  // pixels: [B, 3, F, H, W] in [-1, 1] → posterior parameters [B, 2C, f, h, w] (mean | log
  // variance).
  at::Tensor Encode(const at::Tensor& pixels, bool tiled) const;

 private:
  TilePlan EncodePlan() const;

  const VaeConfig config_;
  const at::Device device_;
  const at::ScalarType dtype_;
  const VaeDecoder decoder_;
  std::optional<VaeEncoder> encoder_;
};

}  // namespace cogwheel
