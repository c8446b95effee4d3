#include "worker/families/cogvideox/decode_operations.h"

#include <vector>

namespace cogwheel {
namespace {

constexpr int64_t kCubePlaces = 27, kSquarePlaces = 9;
constexpr size_t kTimeBlocks = 2;
constexpr int kMidResnets = 2;

// One chunk on its way: a walk through vae_coders.cc with extents in place of tensors.
class OperationCount {
 public:
  OperationCount(const ChunkExtent& extent, int64_t channels)
      : extent_(extent), channels_(channels) {}

  void Conv(int64_t out) {
    Add(kCubePlaces, out);
    channels_ = out;
  }
  void ResBlock(int64_t out) {
    if (out != channels_) Add(/*places=*/1, out);  // the shortcut
    Conv(out);
    Conv(out);
  }
  void Upsample(bool time) {
    extent_ = {extent_.frames, 2 * extent_.height, 2 * extent_.width};
    Add(kSquarePlaces, channels_);
    const int64_t single = extent_.frames % 2;  // a frame that stays single
    if (time && extent_.frames > 1) extent_.frames = single + 2 * (extent_.frames - single);
  }
  double operations() const { return operations_; }

 private:
  void Add(int64_t places, int64_t out) {
    operations_ +=
        2 * static_cast<double>(places * channels_ * out) * static_cast<double>(extent_.count());
  }

  ChunkExtent extent_;
  int64_t channels_;
  double operations_ = 0;
};

}  // namespace

double DecodeOperations(const VaeConfig& config, const ChunkExtent& latents) {
  const std::vector<int64_t> channels(config.block_out_channels.rbegin(),
                                      config.block_out_channels.rend());
  OperationCount count(latents, config.latent_channels);
  count.Conv(channels.front());
  for (int i = 0; i < kMidResnets; ++i) count.ResBlock(channels.front());
  for (size_t i = 0; i < channels.size(); ++i) {
    for (int64_t j = 0; j < config.layers_per_block + 1; ++j) count.ResBlock(channels[i]);
    if (i + 1 < channels.size()) count.Upsample(/*time=*/i < kTimeBlocks);
  }
  count.Conv(config.out_channels);
  return count.operations();
}

}  // namespace cogwheel
