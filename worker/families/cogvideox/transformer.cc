#include "worker/families/cogvideox/transformer.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "worker/families/cogvideox/embeddings.h"
#include "worker/families/cogvideox/rope.h"
#include "worker/families/cogvideox/transformer_weights.h"

namespace cogwheel {
namespace {

constexpr double kOfs = 2.0;  // the value that the 1.5 image-to-video pipeline always passes

void Refuse(const std::string& what) { throw std::invalid_argument(what); }

class ShardedTransformer final : public Transformer {
 public:
  ShardedTransformer(const TransformerConfig& config, TransformerWeights weights, at::Device device,
                     at::ScalarType dtype)
      : config_(config), weights_(std::move(weights)), device_(device), dtype_(dtype) {}

  TransformerJob Prepare(const SequenceContext& sequence, int64_t latent_frames,
                         int64_t latent_height, int64_t latent_width) const override;
  at::Tensor Forward(const TransformerJob& job, const at::Tensor& text, const at::Tensor& video,
                     int64_t timestep) const override;
  int64_t ActivationBytes(const SequenceContext& sequence, int64_t batch) const override;

 private:
  PatchGrid GridOf(int64_t latent_frames, int64_t latent_height, int64_t latent_width) const;
  at::Tensor PositionTable(const TransformerJob& job, const PatchGrid& grid) const;
  at::Tensor TimeEmbedding(int64_t timestep) const;
  at::Tensor EmbedRows(const TransformerJob& job, const at::Tensor& text,
                       const at::Tensor& video) const;
  at::Tensor Head(const at::Tensor& video_rows, const at::Tensor& time) const;

  const TransformerConfig config_;
  const TransformerWeights weights_;
  const at::Device device_;
  const at::ScalarType dtype_;
};

PatchGrid ShardedTransformer::GridOf(int64_t latent_frames, int64_t latent_height,
                                     int64_t latent_width) const {
  const int64_t pt = config_.patch_frames(), p = config_.patch_size;
  if (latent_frames < 1 || latent_frames % pt != 0) {
    Refuse(std::to_string(latent_frames) + " latent frames are not a multiple of " +
           std::to_string(pt));
  }
  if (latent_height < p || latent_height % p != 0 || latent_width < p || latent_width % p != 0) {
    Refuse("a latent of " + std::to_string(latent_height) + " x " + std::to_string(latent_width) +
           " has no whole patches of " + std::to_string(p));
  }
  const bool own_size =
      latent_height == config_.sample_height && latent_width == config_.sample_width;
  if (config_.use_learned_positional_embeddings && !own_size) {
    Refuse("the model's position table is for latents of " + std::to_string(config_.sample_height) +
           " x " + std::to_string(config_.sample_width) + " only, not " +
           std::to_string(latent_height) + " x " + std::to_string(latent_width));
  }
  return {.frames = latent_frames / pt, .rows = latent_height / p, .columns = latent_width / p};
}

// Rows of this rank out of the learned table, or the fixed one with zeros for text: [S_local, E].
// Like the reference, a learned table meets another frame count with the fixed one.
at::Tensor ShardedTransformer::PositionTable(const TransformerJob& job,
                                             const PatchGrid& grid) const {
  const bool learned = config_.use_learned_positional_embeddings;
  if (config_.use_rotary_positional_embeddings && !learned) return {};
  const JointShard shard = job.sequence.shard();
  if (learned && job.sequence.text_count != config_.max_text_seq_length) {
    Refuse("the model's position table needs " + std::to_string(config_.max_text_seq_length) +
           " text tokens, not " + std::to_string(job.sequence.text_count));
  }
  if (learned && grid.frames == config_.sample_latent_frames()) {
    return weights_.pos_embedding[0].narrow(0, shard.rows.begin, shard.rows.size());
  }
  const at::Tensor video = SinCosTable(config_, grid, shard.video);  // [V_local, E] fp64
  const at::Tensor text = at::zeros({shard.text.size(), config_.width()}, video.options());
  return at::cat({text, video}).to(device_, dtype_);
}

TransformerJob ShardedTransformer::Prepare(const SequenceContext& sequence, int64_t latent_frames,
                                           int64_t latent_height, int64_t latent_width) const {
  const at::NoGradGuard no_grad;
  const PatchGrid grid = GridOf(latent_frames, latent_height, latent_width);
  TORCH_CHECK(sequence.video_count == grid.token_count(), sequence.video_count,
              " video tokens for a grid of ", grid.frames, " x ", grid.rows, " x ", grid.columns);
  if (sequence.text_count < 1 || sequence.text_count > config_.max_text_seq_length) {
    Refuse(std::to_string(sequence.text_count) + " text tokens, the model takes 1 to " +
           std::to_string(config_.max_text_seq_length));
  }
  TransformerJob job{.sequence = sequence};
  if (config_.use_rotary_positional_embeddings) {
    const Rotation rotation = RotaryTable(config_, grid, sequence.shard().video);
    job.rope_cos = rotation.cos.to(device_);
    job.rope_sin = rotation.sin.to(device_);
  }
  job.position = PositionTable(job, grid);
  return job;
}

// silu(embedding of the timestep, plus that of ofs): [1, time_embed_dim].
at::Tensor ShardedTransformer::TimeEmbedding(int64_t timestep) const {
  const auto embed = [this](double value, const LinearWeights& first, const LinearWeights& second) {
    // fp32, rounded once to the model's dtype before the first layer.
    const at::Tensor vector = SinusoidVector(value, first.weight.size(1)).to(device_, dtype_);
    return Linear(at::silu(Linear(vector, first)), second);
  };
  at::Tensor embedding = embed(static_cast<double>(timestep), weights_.time_1, weights_.time_2);
  if (config_.ofs_embed_dim) embedding += embed(kOfs, weights_.ofs_1, weights_.ofs_2);
  return at::silu(embedding);
}

at::Tensor ShardedTransformer::EmbedRows(const TransformerJob& job, const at::Tensor& text,
                                         const at::Tensor& video) const {
  at::Tensor rows = at::cat({Linear(text, weights_.text_proj), Linear(video, weights_.patch_proj)},
                            1);  // [B, S_local, E]
  if (job.position.defined()) rows += job.position;
  return rows;
}

// norm_final, norm_out and proj_out: [B, V_local, E] → [B, V_local, C_out·pt·p·p].
at::Tensor ShardedTransformer::Head(const at::Tensor& video_rows, const at::Tensor& time) const {
  const int64_t B = video_rows.size(0);
  const LayerNormWeights& final_norm = weights_.norm_final;
  const at::Tensor normed = at::layer_norm(video_rows, {config_.width()}, final_norm.weight,
                                           final_norm.bias, final_norm.epsilon);
  const std::vector<at::Tensor> parts =
      Linear(time, weights_.norm_out.linear).expand({B, -1}).chunk(2, 1);
  const RowModulation modulation{.video_shift = parts[0], .video_scale = parts[1]};
  const at::Tensor modulated =
      LayerNormModulate(normed, /*text_count=*/0, weights_.norm_out.norm, modulation);
  return Linear(modulated, weights_.proj_out);
}

at::Tensor ShardedTransformer::Forward(const TransformerJob& job, const at::Tensor& text,
                                       const at::Tensor& video, int64_t timestep) const {
  const at::NoGradGuard no_grad;
  const JointShard shard = job.sequence.shard();
  const int64_t T_local = shard.text.size(), V_local = shard.video.size();
  TORCH_CHECK(text.dim() == 3 && text.size(1) == T_local, "text is ", text.sizes(),
              " on a shard of ", T_local, " text rows");
  TORCH_CHECK(video.dim() == 3 && video.size(0) == text.size(0) && video.size(1) == V_local,
              "video is ", video.sizes(), " on a shard of ", V_local, " video rows");
  const at::Tensor time = TimeEmbedding(timestep);  // [1, time_embed_dim]
  at::Tensor rows = EmbedRows(job, text, video);    // [B, S_local, E]
  const Rotation rotation{.cos = job.rope_cos, .sin = job.rope_sin};
  const BlockContext context{.sequence = job.sequence,
                             .rotation = rotation,
                             .text_count = T_local,
                             .head_count = config_.num_attention_heads};
  RunBlocks(rows, time, weights_.blocks, context);
  return Head(rows.narrow(1, T_local, V_local), time);  // [B, V_local, C_out·pt·p·p]
}

int64_t ShardedTransformer::ActivationBytes(const SequenceContext& sequence, int64_t batch) const {
  const JointShard shard = sequence.shard();
  const int64_t element = static_cast<int64_t>(at::elementSize(dtype_));
  const int64_t E = config_.width(), S_local = shard.rows.size(), V_local = shard.video.size();
  const int64_t rows = batch * S_local * E * element;  // one [B, S_local, E]
  const int64_t rotated_fp32 = batch * V_local * E * int64_t{sizeof(float)};
  const int64_t attention = SequenceAttentionBytes(sequence, batch, config_.num_attention_heads,
                                                   config_.attention_head_dim, element);
  // The residual, and: q, k, v, one of them normed and its rotation in fp32; or what attention
  // holds; or normed rows (later the update) and the hidden rows of 4 E.
  const int64_t widening = element < int64_t{sizeof(float)} ? 3 : 2;
  const int64_t block = rows + std::max({4 * rows + widening * rotated_fp32, attention, 5 * rows});
  const int64_t features = config_.patch_frames() * config_.patch_size * config_.patch_size *
                           (config_.in_channels + config_.out_channels);
  const int64_t patches = batch * V_local * features * element;
  const int64_t modulation = batch * 12 * E * element;
  const bool rotary = config_.use_rotary_positional_embeddings;
  const bool table = !rotary || config_.use_learned_positional_embeddings;
  const int64_t tables =
      (rotary ? V_local * config_.attention_head_dim * 8 : 0) + (table ? S_local * E * element : 0);
  return block + patches + modulation + tables;
}

}  // namespace

std::unique_ptr<Transformer> Transformer::Load(const TransformerConfig& config,
                                               const Weights& weights, at::Device device,
                                               at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  return std::make_unique<ShardedTransformer>(
      config, LoadTransformerWeights(config, weights, device, dtype), device, dtype);
}

}  // namespace cogwheel
