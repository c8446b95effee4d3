#include "worker/families/cogvideox/transformer.h"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "worker/families/cogvideox/embeddings.h"
#include "worker/families/cogvideox/rope.h"
#include "worker/families/cogvideox/step_operations.h"
#include "worker/sequence/exchange.h"
#include "worker/sequence/ring.h"

namespace cogwheel {
namespace {

constexpr double kOfs = 2.0;  // the value that the 1.5 image-to-video pipeline always passes

void Refuse(const std::string& what) { throw std::invalid_argument(what); }

}  // namespace

LatentLayout LayOutLatents(const TransformerConfig& config, const ClipSize& size) {
  const int64_t frames = (size.frames - 1) / config.temporal_compression_ratio + 1;
  const int64_t padded = DivCeil(frames, config.patch_frames()) * config.patch_frames();
  const int64_t p = config.patch_size;
  const int64_t height = size.height / kPixelsPerLatent, width = size.width / kPixelsPerLatent;
  if (height < p || height % p != 0 || width < p || width % p != 0) {
    Refuse("a latent of " + std::to_string(height) + " x " + std::to_string(width) +
           " has no whole patches of " + std::to_string(p));
  }
  return {.frames = padded,
          .channels = config.out_channels,
          .height = height,
          .width = width,
          .leading_padding = padded - frames,
          .patch_size_t = config.patch_frames(),
          .patch_size = p};
}

void CheckFits(const TransformerConfig& config, const Geometry& geometry) {
  const PatchGrid& grid = geometry.grid();
  const int64_t height = grid.rows * config.patch_size, width = grid.columns * config.patch_size;
  const bool learned = config.use_learned_positional_embeddings;
  if (learned && (height != config.sample_height || width != config.sample_width)) {
    Refuse("the model's position table is for latents of " + std::to_string(config.sample_height) +
           " x " + std::to_string(config.sample_width) + " only, not " + std::to_string(height) +
           " x " + std::to_string(width));
  }
  const int64_t tokens = geometry.text_count();
  if (tokens < 1 || tokens > config.max_text_seq_length) {
    Refuse(std::to_string(tokens) + " text tokens, the model takes 1 to " +
           std::to_string(config.max_text_seq_length));
  }
  if (learned && tokens != config.max_text_seq_length) {
    Refuse("the model's position table needs " + std::to_string(config.max_text_seq_length) +
           " text tokens, not " + std::to_string(tokens));
  }
  if (config.use_rotary_positional_embeddings) CheckRotaryRange(config, grid);
}

// Rows of this rank out of the learned table, or the fixed one with zeros for text: [S_local, E].
// Like the reference, a learned table meets another frame count with the fixed one.
at::Tensor Transformer::PositionTable(const Geometry& geometry) const {
  const bool learned = config_.use_learned_positional_embeddings;
  if (config_.use_rotary_positional_embeddings && !learned) return {};
  if (learned && geometry.grid().frames == config_.sample_latent_frames()) {
    const Range rows = geometry.rows();
    return weights_.pos_embedding[0].narrow(0, rows.begin, rows.size());
  }
  // [V_local, E] fp64
  const at::Tensor video = SinCosTable(config_, geometry.grid(), geometry.video_rows());
  const at::Tensor text =
      at::zeros({geometry.text_rows().size(), config_.width()}, video.options());
  return at::cat({text, video}).to(device_, dtype_);
}

Transformer::Tables Transformer::MakeTables(const Geometry& geometry) const {
  const at::NoGradGuard no_grad;
  CheckFits(config_, geometry);
  Tables tables;
  if (config_.use_rotary_positional_embeddings) {
    const Rotation rotation = RotaryTable(config_, geometry.grid(), geometry.video_rows());
    tables.rotation = {.cos = rotation.cos.to(device_), .sin = rotation.sin.to(device_)};
  }
  tables.position = PositionTable(geometry);
  return tables;
}

// silu(embedding of the timestep, plus that of ofs): [1, time_embed_dim].
at::Tensor Transformer::TimeEmbedding(int64_t timestep) const {
  const auto embed = [this](double value, const LinearWeights& first, const LinearWeights& second) {
    // fp32, rounded once to the model's dtype before the first layer.
    const at::Tensor vector = SinusoidVector(value, first.weight.size(1)).to(device_, dtype_);
    return Linear(at::silu(Linear(vector, first)), second);
  };
  at::Tensor embedding = embed(static_cast<double>(timestep), weights_.time_1, weights_.time_2);
  if (config_.ofs_embed_dim) embedding += embed(kOfs, weights_.ofs_1, weights_.ofs_2);
  return at::silu(embedding);
}

at::Tensor Transformer::EmbedRows(const at::Tensor& text, const at::Tensor& video,
                                  const at::Tensor& position) const {
  at::Tensor rows = at::cat({Linear(text, weights_.text_proj), Linear(video, weights_.patch_proj)},
                            1);  // [B, S_local, E]
  if (position.defined()) rows += position;
  return rows;
}

// norm_final, norm_out and proj_out: [B, V_local, E] → [B, V_local, C_out·pt·p·p].
at::Tensor Transformer::Head(const at::Tensor& video_rows, const at::Tensor& time) const {
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

// One job on one rank.
class Transformer::ShardJob final : public Denoiser::Job {
 public:
  ShardJob(const Transformer& model, const Geometry& geometry, const MeshLinks& links)
      : model_(model),
        geometry_(geometry),
        exchange_(geometry, *links.ulysses, model.config_.num_attention_heads),
        ring_(geometry, *links.ring),
        tables_(model.MakeTables(geometry)) {}

  at::Tensor Predict(const at::Tensor& text, const at::Tensor& video,
                     int64_t timestep) const override;

 private:
  const Transformer& model_;
  const Geometry geometry_;
  const HeadExchange exchange_;
  const Ring ring_;
  const Tables tables_;
};

at::Tensor Transformer::ShardJob::Predict(const at::Tensor& text, const at::Tensor& video,
                                          int64_t timestep) const {
  const at::NoGradGuard no_grad;
  const int64_t T_local = geometry_.text_rows().size(), V_local = geometry_.video_rows().size();
  TORCH_CHECK(text.dim() == 3 && text.size(1) == T_local, "text is ", text.sizes(),
              " on a shard of ", T_local, " text rows");
  TORCH_CHECK(video.dim() == 3 && video.size(0) == text.size(0) && video.size(1) == V_local,
              "video is ", video.sizes(), " on a shard of ", V_local, " video rows");
  const at::Tensor time = model_.TimeEmbedding(timestep);             // [1, time_embed_dim]
  at::Tensor rows = model_.EmbedRows(text, video, tables_.position);  // [B, S/(u·r), E]
  RunBlocks(rows, time, model_.weights_.blocks,
            {.exchange = exchange_,
             .ring = ring_,
             .rotation = tables_.rotation,
             .text_count = T_local,
             .head_count = model_.config_.num_attention_heads,
             .layer_begins = [this] { model_.UnitBegins("layer"); }});
  return model_.Head(rows.narrow(1, T_local, V_local), time);  // [B, V_local, C_out·pt·p·p]
}

double Transformer::StepOperations(const Geometry& geometry, bool guided) const {
  return cogwheel::StepOperations(config_, geometry, geometry.branch_count(guided));
}

std::unique_ptr<Denoiser::Job> Transformer::Prepare(const Geometry& geometry,
                                                    const MeshLinks& links) const {
  return std::make_unique<ShardJob>(*this, geometry, links);
}

std::unique_ptr<Transformer> Transformer::Load(const TransformerConfig& config,
                                               const WeightSource& weights, at::Device device,
                                               at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  return std::make_unique<Transformer>(
      config, LoadTransformerWeights(config, weights, device, dtype), device, dtype);
}

}  // namespace cogwheel
