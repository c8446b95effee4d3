#include "worker/families/cogvideox/vae.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>

#include "worker/families/cogvideox/vae_coders.h"

namespace cogwheel {
namespace {

// The reference's num_latent_frames_batch_size and num_sample_frames_batch_size.
constexpr int64_t kLatentFramesPerChunk = 2;
constexpr int64_t kPixelFramesPerChunk = 8;

// The remainder goes to the first chunk.
std::vector<int64_t> Chunks(int64_t frames, int64_t per_chunk) {
  std::vector<int64_t> chunks(std::max<int64_t>(frames / per_chunk, 1), per_chunk);
  chunks[0] = frames - per_chunk * (static_cast<int64_t>(chunks.size()) - 1);
  return chunks;
}

template <typename Coder>
at::Tensor RunChunks(const Coder& coder, const at::Tensor& x, const std::vector<int64_t>& chunks) {
  CarryTable carry;
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const int64_t frames : chunks) {
    parts.push_back(coder.Forward(x.narrow(2, begin, frames), carry));
    begin += frames;
  }
  return at::cat(parts, 2);
}

class LoadedVae final : public Vae {
 public:
  LoadedVae(const VaeConfig& config, const VaeLoader& loader, bool with_encoder)
      : config_(config), decoder_(loader, config) {
    if (with_encoder) encoder_.emplace(loader, config);
  }

  at::Tensor DecodeChunk(const at::Tensor& latents, ConvCarry& carry) const override {
    return decoder_.Forward(latents, carry);
  }
  at::Tensor Decode(const at::Tensor& latents) const override {
    return RunChunks(decoder_, latents, DecodeChunks(latents.size(2)));
  }
  at::Tensor DecodeTiled(const at::Tensor& latents) const override {
    return RunTiled(latents, DecodePlan(), [this](const at::Tensor& tile) { return Decode(tile); });
  }
  bool TilesDecode(int64_t latent_height, int64_t latent_width) const override {
    return latent_height > DecodePlan().height.tile_in || latent_width > DecodePlan().width.tile_in;
  }
  at::Tensor Encode(const at::Tensor& pixels, bool tiled) const override {
    TORCH_CHECK(encoder_.has_value(), "this VAE was loaded without its encoder");
    const auto encode = [this](const at::Tensor& x) {
      return RunChunks(*encoder_, x, EncodeChunks(x.size(2)));
    };
    const TilePlan plan = EncodeTilePlan(config_.sample_height, config_.sample_width);
    const bool larger = pixels.size(3) > plan.height.tile_in || pixels.size(4) > plan.width.tile_in;
    return tiled && larger ? RunTiled(pixels, plan, encode) : encode(pixels);
  }
  const VaeConfig& config() const override { return config_; }
  TilePlan DecodePlan() const override {
    return DecodeTilePlan(config_.sample_height, config_.sample_width);
  }

 private:
  const VaeConfig config_;
  VaeDecoder decoder_;
  std::optional<VaeEncoder> encoder_;
};

}  // namespace

std::unique_ptr<Vae> Vae::Load(const VaeConfig& config, const Weights& weights, at::Device device,
                               at::ScalarType dtype, bool with_encoder) {
  const VaeLoader loader{.weights = weights,
                         .device = device,
                         .dtype = dtype,
                         .groups = config.norm_num_groups,
                         .norm_eps = config.norm_eps};
  return std::make_unique<LoadedVae>(config, loader, with_encoder);
}

std::vector<int64_t> Vae::DecodeChunks(int64_t latent_frames) {
  return Chunks(latent_frames, kLatentFramesPerChunk);
}

std::vector<int64_t> Vae::EncodeChunks(int64_t pixel_frames) {
  return Chunks(pixel_frames, kPixelFramesPerChunk);
}

}  // namespace cogwheel
