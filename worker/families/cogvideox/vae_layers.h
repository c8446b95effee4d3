#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/kernels/norm_silu.h"
#include "worker/sequence/wavefront.h"
#include "worker/weights/weight_source.h"

// The layers of AutoencoderKLCogVideoX; each loads its own tensors by the checkpoint's names.
// Activations are [B, C, T, H, W] in the VAE's dtype.
namespace cogwheel {

// What the layers load from and into.
struct VaeLoader {
  const WeightSource& weights;
  at::Device device;
  at::ScalarType dtype;
  int64_t groups;
  double norm_eps;
  // On a GPU with channels innermost, as its convolutions are fastest; all activations follow.
  at::Tensor Load(const std::string& name, at::IntArrayRef shape) const {
    const at::Tensor loaded = weights.Load(name, shape, device, dtype);
    if (!device.is_cuda() || shape.size() < 4) return loaded;
    return loaded.contiguous(shape.size() == 4 ? at::MemoryFormat::ChannelsLast
                                               : at::MemoryFormat::ChannelsLast3d);
  }
};

// One chunk on its way through the network: the carry, and how many causal convolutions have run.
struct ChunkRun {
  ConvCarry& carry;
  int next_conv = 0;
};

// CogVideoXCausalConv3d with a 3x3x3 kernel: two frames before the chunk (the previous chunk's last
// two, or the first frame twice), zeros around each frame.
class CausalConv {
 public:
  CausalConv(const VaeLoader& loader, const std::string& name, int64_t in, int64_t out);
  at::Tensor Forward(const at::Tensor& x, ChunkRun& run) const;
  // padded: the chunk behind two frames, which this fills: [B, C, 2 + T, H, W].
  at::Tensor ForwardPadded(const at::Tensor& padded, ChunkRun& run) const;

 private:
  at::Tensor weight_, bias_;
};

class GroupNorm {
 public:
  GroupNorm(const VaeLoader& loader, const std::string& name, int64_t channels, double eps);
  // SiLU of the norm with room before it, as CausalConv::ForwardPadded wants it. Statistics over
  // the group's channels and all frames, rows and columns of this chunk.
  at::Tensor Activated(const at::Tensor& x) const;
  const GroupNormWeights& weights() const { return weights_; }

 private:
  GroupNormWeights weights_;
};

// CogVideoXSpatialNorm3D: GroupNorm scaled and shifted by two 1x1x1 convolutions of the latent
// chunk.
class SpatialNorm {
 public:
  SpatialNorm(const VaeLoader& loader, const std::string& name, int64_t channels, int64_t latents);
  // As GroupNorm's. latents: [B, C_z, t, h, w], the chunk as the decoder received it.
  at::Tensor Activated(const at::Tensor& x, const at::Tensor& latents) const;

 private:
  GroupNorm norm_;
  at::Tensor scale_weight_, scale_bias_, shift_weight_, shift_bias_;
};

// CogVideoXResnetBlock3D. In the decoder (latent_channels > 0) its norms are spatial.
class ResBlock {
 public:
  ResBlock(const VaeLoader& loader, const std::string& name, int64_t in, int64_t out,
           int64_t latent_channels);
  // latents: undefined in the encoder.
  at::Tensor Forward(const at::Tensor& x, const at::Tensor& latents, ChunkRun& run) const;

 private:
  // SiLU of norm `idx`, padded.
  at::Tensor Activated(int idx, const at::Tensor& x, const at::Tensor& latents) const;

  std::optional<GroupNorm> plain_[2];
  std::optional<SpatialNorm> spatial_[2];
  CausalConv conv1_, conv2_;
  at::Tensor shortcut_weight_, shortcut_bias_;  // undefined when the channel counts agree
};

// CogVideoXUpsample3D: every pixel four times, then a 3x3 convolution per frame. With `time`, every
// frame twice as well, but the first of an odd number of frames stays single.
class Upsample {
 public:
  Upsample(const VaeLoader& loader, const std::string& name, int64_t channels, bool time);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  bool time_;
  at::Tensor weight_, bias_;
};

// CogVideoXDownsample3D: with `time`, pairs of frames averaged (the first of an odd number stays);
// then a 3x3 convolution of stride 2 per frame, padded right and below only.
class Downsample {
 public:
  Downsample(const VaeLoader& loader, const std::string& name, int64_t channels, bool time);
  at::Tensor Forward(const at::Tensor& x) const;

 private:
  bool time_;
  at::Tensor weight_, bias_;
};

}  // namespace cogwheel
