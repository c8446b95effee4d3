#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/sequence/sequence.h"

namespace cogwheel {

class Weights;

// What changes once a job: made by Transformer::Prepare, kept for all its steps.
struct TransformerJob {
  SequenceContext sequence;
  // [V_local, D] fp32, this rank's video rows; undefined without RoPE.
  at::Tensor rope_cos, rope_sin;
  at::Tensor position;  // [S_local, E] additive table of this rank's rows; undefined without one
};

// CogVideoXTransformer3DModel on one shard of the joint sequence (diffusers
// models/transformers/cogvideox_transformer_3d.py). Owned by the rank thread.
class Transformer {
 public:
  // Checks every tensor of the table against the file, loads, converts to dtype on device.
  static std::unique_ptr<Transformer> Load(const TransformerConfig& config, const Weights& weights,
                                           at::Device device, at::ScalarType dtype);
  virtual ~Transformer() = default;

  // latent_frames is already a multiple of patch_size_t. Throws std::invalid_argument for sizes the
  // model refuses.
  virtual TransformerJob Prepare(const SequenceContext& sequence, int64_t latent_frames,
                                 int64_t latent_height, int64_t latent_width) const = 0;

  // One prediction for this rank's video rows; it may have no text rows, or no video rows.
  //   text: [B, T_local, text_embed_dim], of the encoder's output.
  //   video: [B, V_local, C_in·pt·p·p], features in the order ((c·pt + dt)·p + dy)·p + dx.
  //   → [B, V_local, C_out·pt·p·p], the same order, model dtype.
  virtual at::Tensor Forward(const TransformerJob& job, const at::Tensor& text,
                             const at::Tensor& video, int64_t timestep) const = 0;

  // Bytes of the activations of one Forward on this rank, for the plan; counted from the shapes.
  virtual int64_t ActivationBytes(const SequenceContext& sequence, int64_t batch) const = 0;
};

// [B, F, C, H, W] ↔ [B, F·H·W/(pt·p·p), C·pt·p·p], tokens in t, row, column order.
at::Tensor Patchify(const at::Tensor& latents, int64_t patch_size_t, int64_t patch_size);
at::Tensor Unpatchify(const at::Tensor& patches, int64_t frames, int64_t height, int64_t width,
                      int64_t patch_size_t, int64_t patch_size);

}  // namespace cogwheel
