#include "worker/families/cogvideox/vae_coders.h"

#include <string>
#include <utility>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

// Blocks that halve or double time: log2 of the temporal compression of 4.
constexpr int kTimeBlocks = 2;
constexpr double kOutNormEps = 1e-6;  // fixed in the reference
constexpr int kMidResnets = 2;

std::string Indexed(const std::string& list, size_t idx) {
  return list + "." + std::to_string(idx);
}

std::vector<ResBlock> MidBlock(const VaeLoader& loader, const std::string& coder, int64_t channels,
                               int64_t latents) {
  std::vector<ResBlock> resnets;
  for (int i = 0; i < kMidResnets; ++i) {
    resnets.emplace_back(loader, Indexed(coder + ".mid_block.resnets", i), channels, channels,
                         latents);
  }
  return resnets;
}

}  // namespace

VaeDecoder::VaeDecoder(const VaeLoader& loader, const VaeConfig& config)
    : conv_in_(loader, "decoder.conv_in", config.latent_channels, config.block_out_channels.back()),
      mid_(MidBlock(loader, "decoder", config.block_out_channels.back(), config.latent_channels)),
      norm_out_(loader, "decoder.norm_out", config.block_out_channels.front(),
                config.latent_channels),
      conv_out_(loader, "decoder.conv_out", config.block_out_channels.front(),
                config.out_channels) {
  const std::vector<int64_t> channels(config.block_out_channels.rbegin(),
                                      config.block_out_channels.rend());
  int64_t in = channels.front();
  for (size_t i = 0; i < channels.size(); ++i) {
    const std::string name = Indexed("decoder.up_blocks", i);
    UpBlock block;
    for (int64_t j = 0; j < config.layers_per_block + 1; ++j) {
      block.resnets.emplace_back(loader, Indexed(name + ".resnets", j), j == 0 ? in : channels[i],
                                 channels[i], config.latent_channels);
    }
    if (i + 1 < channels.size()) {
      block.upsampler.emplace(loader, name + ".upsamplers.0", channels[i], i < kTimeBlocks);
    }
    in = channels[i];
    up_.push_back(std::move(block));
  }
}

at::Tensor VaeDecoder::Forward(const at::Tensor& latents, ConvCarry& carry) const {
  ChunkRun run{.carry = carry};
  at::Tensor x = conv_in_.Forward(latents, run);
  for (const ResBlock& resnet : mid_) x = resnet.Forward(x, latents, run);
  for (const UpBlock& block : up_) {
    for (const ResBlock& resnet : block.resnets) x = resnet.Forward(x, latents, run);
    if (block.upsampler) x = block.upsampler->Forward(x);
  }
  return conv_out_.ForwardPadded(norm_out_.Activated(x, latents), run);
}

VaeEncoder::VaeEncoder(const VaeLoader& loader, const VaeConfig& config)
    : conv_in_(loader, "encoder.conv_in", config.in_channels, config.block_out_channels.front()),
      mid_(MidBlock(loader, "encoder", config.block_out_channels.back(), /*latents=*/0)),
      norm_out_(loader, "encoder.norm_out", config.block_out_channels.back(), kOutNormEps),
      conv_out_(loader, "encoder.conv_out", config.block_out_channels.back(),
                2 * config.latent_channels) {
  int64_t in = config.block_out_channels.front();
  for (size_t i = 0; i < config.block_out_channels.size(); ++i) {
    const int64_t out = config.block_out_channels[i];
    const std::string name = Indexed("encoder.down_blocks", i);
    DownBlock block;
    for (int64_t j = 0; j < config.layers_per_block; ++j) {
      block.resnets.emplace_back(loader, Indexed(name + ".resnets", j), j == 0 ? in : out, out,
                                 /*latent_channels=*/0);
    }
    if (i + 1 < config.block_out_channels.size()) {
      block.downsampler.emplace(loader, name + ".downsamplers.0", out, i < kTimeBlocks);
    }
    in = out;
    down_.push_back(std::move(block));
  }
}

at::Tensor VaeEncoder::Forward(const at::Tensor& pixels, ConvCarry& carry) const {
  ChunkRun run{.carry = carry};
  at::Tensor x = conv_in_.Forward(pixels, run);
  for (const DownBlock& block : down_) {
    for (const ResBlock& resnet : block.resnets) x = resnet.Forward(x, {}, run);
    if (block.downsampler) x = block.downsampler->Forward(x);
  }
  for (const ResBlock& resnet : mid_) x = resnet.Forward(x, {}, run);
  return conv_out_.ForwardPadded(norm_out_.Activated(x), run);
}

}  // namespace cogwheel
