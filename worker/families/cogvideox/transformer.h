#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/transformer_weights.h"
#include "worker/sequence/exchange.h"
#include "worker/sequence/geometry.h"
#include "worker/sequence/links.h"
#include "worker/sequence/ring.h"

namespace cogwheel {

// CogVideoXTransformer3DModel on one shard of the joint sequence (diffusers
// models/transformers/cogvideox_transformer_3d.py). Owned by the rank thread.
class Transformer {
 public:
  // Checks every tensor of the table against the file, loads, converts to dtype on device.
  static std::unique_ptr<Transformer> Load(const TransformerConfig& config, const Weights& weights,
                                           at::Device device, at::ScalarType dtype);
  Transformer(const TransformerConfig& config, TransformerWeights weights, at::Device device,
              at::ScalarType dtype)
      : config_(config), weights_(std::move(weights)), device_(device), dtype_(dtype) {}

  class Job;

  // Throws std::invalid_argument for a sequence that the model refuses.
  void Check(const Geometry& geometry) const { MakeTables(geometry); }
  // Throws like Check. The job borrows transformer and links.
  std::unique_ptr<Job> Prepare(const Geometry& geometry, const Links& links) const;

  // Bytes of the activations of one prediction on this rank, for the plan; counted from the shapes.
  int64_t ActivationBytes(const Geometry& geometry, int64_t batch) const;

 private:
  // Of this rank's rows, the same in all steps.
  struct Tables {
    Rotation rotation;    // [V_local, D] fp32; undefined without RoPE
    at::Tensor position;  // [S_local, E] to be added; undefined without such a table
  };

  void CheckGrid(const PatchGrid& grid) const;
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

// One job on one rank.
class Transformer::Job {
 public:
  Job(const Transformer& model, const Geometry& geometry, const Links& links);

  // One prediction for this rank's video rows; it may have no text rows, or no video rows.
  //   text: [B, T_local, text_embed_dim], of the encoder's output.
  //   video: [B, V_local, C_in·pt·p·p], as Patchify cuts them.
  //   → [B, V_local, C_out·pt·p·p], the same order, model dtype.
  at::Tensor Predict(const at::Tensor& text, const at::Tensor& video, int64_t timestep) const;

 private:
  const Transformer& model_;
  const Geometry geometry_;
  const HeadExchange exchange_;
  const Ring ring_;
  const Tables tables_;
};

}  // namespace cogwheel
