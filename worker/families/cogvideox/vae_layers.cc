#include "worker/families/cogvideox/vae_layers.h"

#include <utility>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

// GroupNorms of the decoder, and the encoder's last, have this fixed in the reference.
constexpr double kSpatialNormEps = 1e-6;
// Frames before the chunk that a causal convolution sees.
constexpr int64_t kPad = 2;

// A 2-D convolution on every frame: [B, C, T, H, W] → [B, C', T, H', W'].
at::Tensor ConvFrames(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      int64_t stride, int64_t padding) {
  const int64_t batch = x.size(0), frames = x.size(2);
  const at::Tensor flat = x.transpose(1, 2).flatten(0, 1);  // [B·T, C, H, W]
  const at::Tensor out = at::conv2d(flat, weight, bias, stride, padding);
  return out.unflatten(0, {batch, frames}).transpose(1, 2);
}

}  // namespace

CausalConv::CausalConv(const VaeLoader& loader, const std::string& name, int64_t in, int64_t out)
    : weight_(loader.Load(name + ".conv.weight", {out, in, 3, 3, 3})),
      bias_(loader.Load(name + ".conv.bias", {out})) {}

at::Tensor CausalConv::Forward(const at::Tensor& x, ChunkRun& run) const {
  at::Tensor padded = at::empty({x.size(0), x.size(1), kPad + x.size(2), x.size(3), x.size(4)},
                                x.options().memory_format(x.suggest_memory_format()));
  padded.narrow(2, kPad, x.size(2)).copy_(x);
  return ForwardPadded(padded, run);
}

at::Tensor CausalConv::ForwardPadded(const at::Tensor& padded, ChunkRun& run) const {
  const int conv_idx = run.next_conv++;
  const at::Tensor before = padded.narrow(2, 0, kPad), first = padded.narrow(2, kPad, 1);
  const bool one_frame = padded.size(2) < 2 * kPad;
  if (one_frame) before.copy_(first);  // what it leaves reaches into its padding
  const at::Tensor carried =
      run.carry.Swap(conv_idx, padded.narrow(2, padded.size(2) - kPad, kPad));
  TORCH_CHECK(!one_frame || !carried.defined(), "only a first chunk may have one frame");
  before.copy_(carried.defined() ? carried : first);
  return at::conv3d(padded, weight_, bias_, /*stride=*/1, /*padding=*/{0, 1, 1});
}

GroupNorm::GroupNorm(const VaeLoader& loader, const std::string& name, int64_t channels, double eps)
    : weights_{.weight = loader.Load(name + ".weight", {channels}),
               .bias = loader.Load(name + ".bias", {channels}),
               .groups = loader.groups,
               .epsilon = eps} {}

at::Tensor GroupNorm::Activated(const at::Tensor& x) const {
  return NormSiluPadded(x, weights_, {}, kPad);
}

SpatialNorm::SpatialNorm(const VaeLoader& loader, const std::string& name, int64_t channels,
                         int64_t latents)
    : norm_(loader, name + ".norm_layer", channels, kSpatialNormEps),
      scale_weight_(loader.Load(name + ".conv_y.conv.weight", {channels, latents, 1, 1, 1})),
      scale_bias_(loader.Load(name + ".conv_y.conv.bias", {channels})),
      shift_weight_(loader.Load(name + ".conv_b.conv.weight", {channels, latents, 1, 1, 1})),
      shift_bias_(loader.Load(name + ".conv_b.conv.bias", {channels})) {}

at::Tensor SpatialNorm::Activated(const at::Tensor& x, const at::Tensor& latents) const {
  // 1x1x1 convolutions and nearest resizing commute: the convolutions run at latent resolution.
  return NormSiluPadded(x, norm_.weights(),
                        {.scale = at::conv3d(latents, scale_weight_, scale_bias_),
                         .shift = at::conv3d(latents, shift_weight_, shift_bias_)},
                        kPad);
}

ResBlock::ResBlock(const VaeLoader& loader, const std::string& name, int64_t in, int64_t out,
                   int64_t latent_channels)
    : conv1_(loader, name + ".conv1", in, out), conv2_(loader, name + ".conv2", out, out) {
  const int64_t channels[] = {in, out};
  for (int idx = 0; idx < 2; ++idx) {
    const std::string norm = name + ".norm" + std::to_string(idx + 1);
    if (latent_channels > 0) {
      spatial_[idx].emplace(loader, norm, channels[idx], latent_channels);
    } else {
      plain_[idx].emplace(loader, norm, channels[idx], loader.norm_eps);
    }
  }
  if (in != out) {
    shortcut_weight_ = loader.Load(name + ".conv_shortcut.weight", {out, in, 1, 1, 1});
    shortcut_bias_ = loader.Load(name + ".conv_shortcut.bias", {out});
  }
}

at::Tensor ResBlock::Activated(int idx, const at::Tensor& x, const at::Tensor& latents) const {
  return spatial_[idx] ? spatial_[idx]->Activated(x, latents) : plain_[idx]->Activated(x);
}

at::Tensor ResBlock::Forward(const at::Tensor& x, const at::Tensor& latents, ChunkRun& run) const {
  at::Tensor hidden = conv1_.ForwardPadded(Activated(0, x, latents), run);
  hidden = Activated(1, hidden, latents);
  hidden = conv2_.ForwardPadded(hidden, run);
  return hidden.add_(shortcut_weight_.defined() ? at::conv3d(x, shortcut_weight_, shortcut_bias_)
                                                : x);
}

Upsample::Upsample(const VaeLoader& loader, const std::string& name, int64_t channels, bool time)
    : time_(time),
      weight_(loader.Load(name + ".conv.weight", {channels, channels, 3, 3})),
      bias_(loader.Load(name + ".conv.bias", {channels})) {}

// Frames are doubled behind the convolution, which works on each by itself.
at::Tensor Upsample::Forward(const at::Tensor& x) const {
  const at::Tensor flat = x.transpose(1, 2).flatten(0, 1);  // [B·T, C, H, W]
  const at::Tensor wide = at::upsample_nearest2d(flat, {2 * x.size(3), 2 * x.size(4)});
  const at::Tensor frames =
      ConvFrames(wide.unflatten(0, {x.size(0), x.size(2)}).transpose(1, 2), weight_, bias_,
                 /*stride=*/1, /*padding=*/1);
  const int64_t count = x.size(2), single = count % 2;  // `single` frames stay single
  if (!time_ || count == 1) return frames;
  const int64_t B = frames.size(0), C = frames.size(1), H = frames.size(3), W = frames.size(4);
  const int64_t doubled = count - single;
  at::Tensor out = at::empty({B, C, single + 2 * doubled, H, W},
                             frames.options().memory_format(frames.suggest_memory_format()));
  out.narrow(2, 0, single).copy_(frames.narrow(2, 0, single));
  out.narrow(2, single, 2 * doubled)
      .unflatten(2, {doubled, 2})
      .copy_(frames.narrow(2, single, doubled).unsqueeze(3).expand({B, C, doubled, 2, H, W}));
  return out;
}

Downsample::Downsample(const VaeLoader& loader, const std::string& name, int64_t channels,
                       bool time)
    : time_(time),
      weight_(loader.Load(name + ".conv.weight", {channels, channels, 3, 3})),
      bias_(loader.Load(name + ".conv.bias", {channels})) {}

at::Tensor Downsample::Forward(const at::Tensor& x) const {
  at::Tensor frames = x;
  const int64_t count = x.size(2);
  if (time_ && count > 1) {
    const int64_t single = count % 2;
    const at::Tensor pairs =
        x.narrow(2, single, count - single).unflatten(2, {(count - single) / 2, 2}).mean(3);
    frames = at::cat({x.narrow(2, 0, single), pairs}, 2);
  }
  const at::Tensor padded = at::constant_pad_nd(frames, {0, 1, 0, 1}, 0);
  return ConvFrames(padded, weight_, bias_, /*stride=*/2, /*padding=*/0);
}

}  // namespace cogwheel
