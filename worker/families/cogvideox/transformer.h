#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/transformer_weights.h"
#include "worker/families/model.h"
#include "worker/sequence/geometry.h"
#include "worker/sequence/links.h"

namespace cogwheel {

// Latents of a clip of this size. Throws std::invalid_argument where it has no whole patches.
LatentLayout LayOutLatents(const TransformerConfig& config, const ClipSize& size);
// Throws std::invalid_argument for a grid or a text that the model refuses.
void CheckFits(const TransformerConfig& config, const Geometry& geometry);

// CogVideoXTransformer3DModel on one shard of the joint sequence (diffusers
// models/transformers/cogvideox_transformer_3d.py). Owned by the rank thread.
class Transformer final : public Denoiser {
 public:
  // Checks every tensor of the table against the file, loads, converts to dtype on device.
  static std::unique_ptr<Transformer> Load(const TransformerConfig& config,
                                           const WeightSource& weights, at::Device device,
                                           at::ScalarType dtype);
  Transformer(const TransformerConfig& config, TransformerWeights weights, at::Device device,
              at::ScalarType dtype)
      : config_(config), weights_(std::move(weights)), device_(device), dtype_(dtype) {}

  int64_t text_width() const override { return config_.text_embed_dim; }
  // Latent frames are padded at the front to whole patches, as the reference pads 1.5's.
  LatentLayout LayOut(const ClipSize& size) const override { return LayOutLatents(config_, size); }
  double StepOperations(const Geometry& geometry, bool guided) const override;
  std::unique_ptr<Job> Prepare(const Geometry& geometry, const MeshLinks& links) const override;

 private:
  class ShardJob;

  // Of this rank's rows, the same in all steps.
  struct Tables {
    Rotation rotation;    // [V_local, D] fp32; undefined without RoPE
    at::Tensor position;  // [S_local, E] to be added; undefined without such a table
  };

  Tables MakeTables(const Geometry& geometry) const;
  at::Tensor PositionTable(const Geometry& geometry) const;
  at::Tensor TimeEmbedding(int64_t timestep) const;
  at::Tensor EmbedRows(const at::Tensor& text, const at::Tensor& video,
                       const at::Tensor& position) const;
  at::Tensor Head(const at::Tensor& video_rows, const at::Tensor& time) const;

  const TransformerConfig config_;
  const TransformerWeights weights_;
  const at::Device device_;
  const at::ScalarType dtype_;
};

}  // namespace cogwheel
