#pragma once

#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/vae_layers.h"

namespace cogwheel {

// CogVideoXDecoder3D on one chunk. Causal convolutions run in the order of the reference.
class VaeDecoder {
 public:
  VaeDecoder(const VaeLoader& loader, const VaeConfig& config);
  // [B, C, t, h, w] → [B, 3, 4t or 4(t-1)+1, 8h, 8w].
  at::Tensor Forward(const at::Tensor& latents, ConvCarry& carry) const;

 private:
  struct UpBlock {
    std::vector<ResBlock> resnets;
    std::optional<Upsample> upsampler;
  };
  CausalConv conv_in_;
  std::vector<ResBlock> mid_;
  std::vector<UpBlock> up_;
  SpatialNorm norm_out_;
  CausalConv conv_out_;
};

// CogVideoXEncoder3D on one chunk.
class VaeEncoder {
 public:
  VaeEncoder(const VaeLoader& loader, const VaeConfig& config);
  // [B, 3, T, H, W] → [B, 2C, t, H/8, W/8]: mean, then log variance.
  at::Tensor Forward(const at::Tensor& pixels, ConvCarry& carry) const;

 private:
  struct DownBlock {
    std::vector<ResBlock> resnets;
    std::optional<Downsample> downsampler;
  };
  CausalConv conv_in_;
  std::vector<DownBlock> down_;
  std::vector<ResBlock> mid_;
  GroupNorm norm_out_;
  CausalConv conv_out_;
};

}  // namespace cogwheel
