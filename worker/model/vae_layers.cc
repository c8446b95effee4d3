#include "worker/model/vae_layers.h"

#include <utility>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

// GroupNorms of the decoder, and the encoder's last, have this fixed in the reference.
constexpr double kSpatialNormEps = 1e-6;

// Source frame, row or column of nearest resizing: floor(dst * in / out).
at::Tensor NearestIndices(int64_t in, int64_t out, const at::Device& device) {
  const at::Tensor dst = at::arange(out, at::TensorOptions(at::kLong));
  return at::floor_divide(dst * in, out).to(device);
}

// The first of an odd number of frames maps to the first latent frame alone, the others among
// themselves; an even number, or one frame, all together.
at::Tensor LatentFrames(int64_t in, int64_t out, const at::Device& device) {
  if (out <= 1 || out % 2 == 0) return NearestIndices(in, out, device);
  const at::Tensor first = at::zeros({1}, at::TensorOptions(at::kLong).device(device));
  return at::cat({first, 1 + NearestIndices(in - 1, out - 1, device)});
}

// [B, C, t, h, w] gathered to the frames, rows and columns of `like`.
at::Tensor ResizeLike(const at::Tensor& x, const at::Tensor& like) {
  const at::Device device = x.device();
  return x.index_select(2, LatentFrames(x.size(2), like.size(2), device))
      .index_select(3, NearestIndices(x.size(3), like.size(3), device))
      .index_select(4, NearestIndices(x.size(4), like.size(4), device));
}

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

at::Tensor CausalConv::Forward(at::Tensor x, ChunkRun& run) const {
  const int conv_idx = run.next_conv++;
  at::Tensor before = x.narrow(2, 0, 1).expand({x.size(0), x.size(1), 2, x.size(3), x.size(4)});
  const at::Tensor carried = run.carry.Take(conv_idx, before);
  if (carried.defined()) before = carried;
  const at::Tensor padded = at::cat({before, x}, 2);
  x.reset();  // `padded` holds it now; `before` may be a view of it
  before.reset();
  run.carry.Put(conv_idx, padded.narrow(2, padded.size(2) - 2, 2));
  return at::conv3d(padded, weight_, bias_, /*stride=*/1, /*padding=*/{0, 1, 1});
}

GroupNorm::GroupNorm(const VaeLoader& loader, const std::string& name, int64_t channels, double eps)
    : groups_(loader.groups),
      eps_(eps),
      weight_(loader.Load(name + ".weight", {channels})),
      bias_(loader.Load(name + ".bias", {channels})) {}

at::Tensor GroupNorm::Forward(const at::Tensor& x) const {
  return at::group_norm(x, groups_, weight_, bias_, eps_);
}

SpatialNorm::SpatialNorm(const VaeLoader& loader, const std::string& name, int64_t channels,
                         int64_t latents)
    : norm_(loader, name + ".norm_layer", channels, kSpatialNormEps),
      scale_weight_(loader.Load(name + ".conv_y.conv.weight", {channels, latents, 1, 1, 1})),
      scale_bias_(loader.Load(name + ".conv_y.conv.bias", {channels})),
      shift_weight_(loader.Load(name + ".conv_b.conv.weight", {channels, latents, 1, 1, 1})),
      shift_bias_(loader.Load(name + ".conv_b.conv.bias", {channels})) {}

at::Tensor SpatialNorm::Forward(const at::Tensor& x, const at::Tensor& latents) const {
  // 1x1x1 convolutions and nearest resizing commute: the convolutions run at latent resolution.
  // One resized tensor at a time: at full size each is as large as x.
  at::Tensor out = norm_.Forward(x);
  out.mul_(ResizeLike(at::conv3d(latents, scale_weight_, scale_bias_), x));
  out.add_(ResizeLike(at::conv3d(latents, shift_weight_, shift_bias_), x));
  return out;
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
  at::Tensor out = spatial_[idx] ? spatial_[idx]->Forward(x, latents) : plain_[idx]->Forward(x);
  return at::silu_(out);
}

at::Tensor ResBlock::Forward(const at::Tensor& x, const at::Tensor& latents, ChunkRun& run) const {
  at::Tensor hidden = conv1_.Forward(Activated(0, x, latents), run);
  hidden = Activated(1, hidden, latents);
  hidden = conv2_.Forward(std::move(hidden), run);
  return hidden.add_(shortcut_weight_.defined() ? at::conv3d(x, shortcut_weight_, shortcut_bias_)
                                                : x);
}

Upsample::Upsample(const VaeLoader& loader, const std::string& name, int64_t channels, bool time)
    : time_(time),
      weight_(loader.Load(name + ".conv.weight", {channels, channels, 3, 3})),
      bias_(loader.Load(name + ".conv.bias", {channels})) {}

at::Tensor Upsample::Forward(const at::Tensor& x) const {
  at::Tensor frames = x;
  const int64_t count = x.size(2);
  if (time_ && count > 1) {
    const int64_t single = count % 2;  // frames that stay single
    frames = at::cat({x.narrow(2, 0, single),
                      x.narrow(2, single, count - single).repeat_interleave(2, /*dim=*/2)},
                     2);
  }
  const at::Tensor wide = frames.repeat_interleave(2, /*dim=*/3).repeat_interleave(2, /*dim=*/4);
  return ConvFrames(wide, weight_, bias_, /*stride=*/1, /*padding=*/1);
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
