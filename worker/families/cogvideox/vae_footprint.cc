#include "worker/families/cogvideox/vae_footprint.h"

#include <algorithm>
#include <vector>

namespace cogwheel {
namespace {

constexpr int64_t kPad = 2;           // frames before the chunk
constexpr int64_t kChannelTile = 16;  // oneDNN pads channels to whole vectors
constexpr size_t kTimeBlocks = 2;
constexpr int kMidResnets = 2;

int64_t WholeTiles(int64_t channels) {
  return (channels + kChannelTile - 1) / kChannelTile * kChannelTile;
}

// One chunk on its way: `x` is what the network holds between two layers.
class ChunkWalk {
 public:
  ChunkWalk(const ChunkExtent& extent, int64_t channels, ConvMethod method)
      : method_(method), extent_(extent), channels_(channels) {}

  // latent_channels: of the decoder's spatial norms, whose scale and shift have `latents`' extent.
  void UseSpatialNorms(int64_t latent_channels, const ChunkExtent& latents) {
    latent_channels_ = latent_channels;
    latents_ = latents;
  }

  void Conv(int64_t out) {  // from x, which is copied behind its padding
    Convolve(x(), channels_, out);
    channels_ = out;
  }
  void ResBlock(int64_t out) {
    const int64_t hidden = out * extent_.count();
    Activate(x(), channels_);
    Convolve(x(), channels_, out);
    Activate(x() + hidden, out);
    Convolve(x(), out, out);
    if (out != channels_) {  // the shortcut, a convolution of one place
      Note(x() + 2 * hidden + Work(channels_ * extent_.count(), channels_, out, /*places=*/1));
    }
    channels_ = out;
    Note(2 * hidden);
  }
  // The last norm and convolution.
  void Finish(int64_t out) {
    Activate(x(), channels_);
    Convolve(x(), channels_, out);
  }
  void Upsample(bool time) {
    const int64_t before = x();
    const ChunkExtent wide = {extent_.frames, 2 * extent_.height, 2 * extent_.width};
    const int64_t each = channels_ * wide.count();
    Note(2 * before + each);  // the input by frames
    Note(before + 2 * each + FlatWork(wide, wide, channels_));
    extent_ = wide;
    if (time && wide.frames > 1) {
      const int64_t single = wide.frames % 2;
      extent_.frames = single + 2 * (wide.frames - single);
      Note(before + 2 * each + x());
    }
  }
  void Downsample(bool time) {
    const int64_t before = x();
    if (time && extent_.frames > 1) {
      extent_.frames = extent_.frames % 2 + extent_.frames / 2;
      Note(before + 2 * x());  // the pairs' means and those beside the single frame
    }
    const ChunkExtent padded = {extent_.frames, extent_.height + 1, extent_.width + 1};
    const int64_t frames = x(), wide = channels_ * padded.count();
    extent_.height /= 2;
    extent_.width /= 2;
    Note(before + frames + wide + x() + FlatWork(padded, extent_, channels_));
  }
  const ChunkNumbers& numbers() const { return numbers_; }

 private:
  int64_t x() const { return channels_ * extent_.count(); }
  int64_t Padded(int64_t channels) const {
    return channels * (kPad + extent_.frames) * extent_.height * extent_.width;
  }
  void Note(int64_t held) { numbers_.peak = std::max(numbers_.peak, held); }

  // ATen counts channels, frames and rows, but no columns.
  bool ByColumns(int64_t input) const {
    constexpr int64_t kSmall = 20480;
    return method_ == ConvMethod::kColumns ||
           (method_ == ConvMethod::kBySize && input / extent_.width <= kSmall);
  }
  // Beside input and result, of a convolution in three dimensions.
  int64_t Work(int64_t input, int64_t in, int64_t out, int64_t places) const {
    if (ByColumns(input)) return places * in * extent_.count();
    return input / in * WholeTiles(in) + WholeTiles(out) * extent_.count() +
           places * WholeTiles(in) * WholeTiles(out);
  }
  // The same of one that works on each frame by itself.
  int64_t FlatWork(const ChunkExtent& input, const ChunkExtent& output, int64_t channels) const {
    constexpr int64_t kPlaces = 9;
    const int64_t tiles = WholeTiles(channels);
    const int64_t reordered = tiles * (input.count() + output.count());
    // By columns one frame after the other.
    return std::max(kPlaces * channels * output.height * output.width,
                    reordered + kPlaces * tiles * tiles);
  }
  // Norm, modulation and SiLU, with room before the chunk; beside what is held.
  void Activate(int64_t held, int64_t channels) {
    const int64_t normed = channels * extent_.count();
    int64_t resized = 0;
    if (latent_channels_ > 0) {
      const int64_t rows = channels * extent_.frames * extent_.height * latents_.width;
      const int64_t modulation = 2 * channels * latents_.count();
      Note(held + modulation + latent_channels_ * latents_.count() +
           WholeTiles(channels) * latents_.count());
      resized = modulation + normed + rows;
    }
    Note(held + normed + std::max(resized, Padded(channels)));
  }
  void Convolve(int64_t held, int64_t in, int64_t out) {
    constexpr int64_t kPlaces = 27;
    const int64_t carried = kPad * in * extent_.height * extent_.width;
    numbers_.carry += carried;
    Note(held + Padded(in) + 2 * carried);  // what comes and what goes
    Note(held + Padded(in) + carried + out * extent_.count() + Work(Padded(in), in, out, kPlaces));
  }

  const ConvMethod method_;
  ChunkExtent extent_;
  int64_t channels_;
  int64_t latent_channels_ = 0;
  ChunkExtent latents_;
  ChunkNumbers numbers_;
};

}  // namespace

ChunkNumbers DecodeChunkNumbers(const VaeConfig& config, const ChunkExtent& latents,
                                ConvMethod method) {
  const std::vector<int64_t> channels(config.block_out_channels.rbegin(),
                                      config.block_out_channels.rend());
  ChunkWalk walk(latents, config.latent_channels, method);
  walk.Conv(channels.front());
  walk.UseSpatialNorms(config.latent_channels, latents);
  for (int i = 0; i < kMidResnets; ++i) walk.ResBlock(channels.front());
  for (size_t i = 0; i < channels.size(); ++i) {
    for (int64_t j = 0; j < config.layers_per_block + 1; ++j) walk.ResBlock(channels[i]);
    if (i + 1 < channels.size()) walk.Upsample(/*time=*/i < kTimeBlocks);
  }
  walk.Finish(config.out_channels);
  return walk.numbers();
}

ChunkNumbers EncodeChunkNumbers(const VaeConfig& config, const ChunkExtent& pixels,
                                ConvMethod method) {
  const std::vector<int64_t>& channels = config.block_out_channels;
  ChunkWalk walk(pixels, config.in_channels, method);
  walk.Conv(channels.front());
  for (size_t i = 0; i < channels.size(); ++i) {
    for (int64_t j = 0; j < config.layers_per_block; ++j) walk.ResBlock(channels[i]);
    if (i + 1 < channels.size()) walk.Downsample(/*time=*/i < kTimeBlocks);
  }
  for (int i = 0; i < kMidResnets; ++i) walk.ResBlock(channels.back());
  walk.Finish(2 * config.latent_channels);
  return walk.numbers();
}

}  // namespace cogwheel
