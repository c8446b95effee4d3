#include "worker/families/cogvideox/vae.h"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "base/fnv.h"
#include "worker/families/cogvideox/decode_operations.h"
#include "worker/families/cogvideox/image_input.h"
#include "worker/families/cogvideox/vae_tiling.h"

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

// Calls `begins` before each convolution.
class ToldCarry final : public ConvCarry {
 public:
  using Begins = std::function<void(int64_t kind)>;
  ToldCarry(ConvCarry& carry, Begins begins) : carry_(carry), begins_(std::move(begins)) {}

  // A convolution's work goes by its place in the network and the size of its frames.
  at::Tensor Swap(int conv_idx, const at::Tensor& frames) override {
    Fnv kind;
    for (const int64_t value : {int64_t{conv_idx}, frames.size(3), frames.size(4)}) {
      kind.AddNumber(value);
    }
    begins_(static_cast<int64_t>(kind.hash()));
    return carry_.Swap(conv_idx, frames);
  }

 private:
  ConvCarry& carry_;
  const Begins begins_;
};

// As the reference's enable_tiling: both ways once one of them is too long.
bool Tiles(const TilePlan& plan, int64_t height, int64_t width) {
  return height > plan.height.tile_in || width > plan.width.tile_in;
}

void CheckExtent(const char* what, int64_t tiled, int64_t whole) {
  if (tiled == whole) return;
  throw std::invalid_argument("vae_tiling is of no use: this checkpoint's tiles would make " +
                              std::to_string(tiled) + " " + what + " of " + std::to_string(whole) +
                              "; leave it out");
}

}  // namespace

Vae::Vae(const VaeConfig& config, const VaeLoader& loader, bool with_encoder)
    : config_(config), device_(loader.device), dtype_(loader.dtype), decoder_(loader, config) {
  if (with_encoder) encoder_.emplace(loader, config);
}

std::unique_ptr<Vae> Vae::Load(const VaeConfig& config, const WeightSource& weights,
                               at::Device device, at::ScalarType dtype, bool with_encoder) {
  const VaeLoader loader{.weights = weights,
                         .device = device,
                         .dtype = dtype,
                         .groups = config.norm_num_groups,
                         .norm_eps = config.norm_eps};
  return std::make_unique<Vae>(config, loader, with_encoder);
}

std::vector<int64_t> Vae::DecodeChunksOf(int64_t latent_frames) {
  return Chunks(latent_frames, kLatentFramesPerChunk);
}

std::vector<int64_t> Vae::EncodeChunks(int64_t pixel_frames) {
  return Chunks(pixel_frames, kPixelFramesPerChunk);
}

int64_t Vae::PixelFramesOf(int64_t chunk_frames) {
  return chunk_frames % 2 == 1 ? 4 * (chunk_frames - 1) + 1 : 4 * chunk_frames;
}

at::Tensor Vae::Unscale(const at::Tensor& latents) const {
  return (latents.permute({0, 2, 1, 3, 4}) * (1 / config_.scaling_factor)).contiguous();
}

at::Tensor Vae::DecodeChunk(const at::Tensor& latents, ConvCarry& carry) const {
  ToldCarry told(carry, [this](int64_t kind) { UnitBegins("convolution", kind); });
  return decoder_.Forward(latents, told);
}

double Vae::DecodeOperations(int64_t frames, int64_t height, int64_t width) const {
  return cogwheel::DecodeOperations(config_, {frames, height, width});
}

TilePlan Vae::DecodePlan() const {
  return DecodeTilePlan(config_.sample_height, config_.sample_width);
}

TilePlan Vae::EncodePlan() const {
  return EncodeTilePlan(config_.sample_height, config_.sample_width);
}

bool Vae::TilesDecode(int64_t latent_height, int64_t latent_width) const {
  return Tiles(DecodePlan(), latent_height, latent_width);
}

void Vae::CheckTiling(const ClipSize& size, bool has_picture) const {
  const auto decoded = [](int64_t latents) { return latents * kPixelsPerLatent; };
  const auto encoded = [](int64_t pixels) { return pixels / kPixelsPerLatent; };
  const int64_t rows = size.height / kPixelsPerLatent, columns = size.width / kPixelsPerLatent;
  if (TilesDecode(rows, columns)) {
    const TilePlan plan = DecodePlan();
    CheckExtent("pixels high", TiledExtent(rows, plan.height, decoded), size.height);
    CheckExtent("pixels wide", TiledExtent(columns, plan.width, decoded), size.width);
  }
  const TilePlan plan = EncodePlan();
  if (has_picture && Tiles(plan, size.height, size.width)) {
    CheckExtent("latents high", TiledExtent(size.height, plan.height, encoded), rows);
    CheckExtent("latents wide", TiledExtent(size.width, plan.width, encoded), columns);
  }
}

at::Tensor Vae::Encode(const at::Tensor& pixels, bool tiled) const {
  TORCH_CHECK(encoder_.has_value(), "this VAE was loaded without its encoder");
  const auto encode = [this](const at::Tensor& x) {
    CarryTable carry;
    ToldCarry told(carry, [this](int64_t kind) { UnitBegins("picture convolution", kind); });
    std::vector<at::Tensor> parts;
    int64_t begin = 0;
    for (const int64_t frames : EncodeChunks(x.size(2))) {
      parts.push_back(encoder_->Forward(x.narrow(2, begin, frames), told));
      begin += frames;
    }
    return at::cat(parts, 2);
  };
  const TilePlan plan = EncodePlan();
  return tiled && Tiles(plan, pixels.size(3), pixels.size(4)) ? RunTiled(pixels, plan, encode)
                                                              : encode(pixels);
}

at::Tensor Vae::EncodePicture(const Picture& picture, const ClipSize& size, bool tiled) const {
  const at::Tensor pixels =
      PrepareImage(picture.rgb, picture.height, picture.width, size.height, size.width)
          .to(device_, dtype_);
  return Encode(pixels, tiled).contiguous();
}

// Scaled as the checkpoint was trained.
at::Tensor Vae::SampleLatent(const at::Tensor& posterior, const at::Tensor& noise) const {
  const std::vector<at::Tensor> parts = at::chunk(posterior, 2, 1);
  const at::Tensor std = at::exp(0.5 * at::clamp(parts[1], -30.0, 20.0));
  const at::Tensor latent = (parts[0] + std * noise).permute({0, 2, 1, 3, 4});
  return config_.invert_scale_latents ? (1 / config_.scaling_factor) * latent
                                      : config_.scaling_factor * latent;
}

}  // namespace cogwheel
