#include "worker/families/cogvideox/tensor_table.h"

#include <functional>
#include <numeric>
#include <utility>

namespace cogwheel {
namespace {

// Appends weight [out, in...] and bias [out].
void AddLinear(std::vector<TensorSpec>& table, const std::string& name,
               std::vector<int64_t> weight) {
  const int64_t out = weight[0];
  table.push_back({name + ".weight", std::move(weight)});
  table.push_back({name + ".bias", {out}});
}

void AddBlock(std::vector<TensorSpec>& table, const std::string& block,
              const TransformerConfig& config) {
  const int64_t E = config.width(), D = config.attention_head_dim;
  AddLinear(table, block + "norm1.linear", {6 * E, config.time_embed_dim});
  AddLinear(table, block + "norm1.norm", {E});
  AddLinear(table, block + "attn1.norm_q", {D});
  AddLinear(table, block + "attn1.norm_k", {D});
  for (const char* name : {"to_q", "to_k", "to_v", "to_out.0"}) {
    AddLinear(table, block + "attn1." + name, {E, E});
  }
  AddLinear(table, block + "norm2.linear", {6 * E, config.time_embed_dim});
  AddLinear(table, block + "norm2.norm", {E});
  AddLinear(table, block + "ff.net.0.proj", {4 * E, E});
  AddLinear(table, block + "ff.net.2", {E, 4 * E});
}

void AddEmbeddings(std::vector<TensorSpec>& table, const TransformerConfig& config) {
  const int64_t E = config.width(), p = config.patch_size;
  if (config.use_learned_positional_embeddings) {
    const int64_t video_count =
        config.sample_latent_frames() * (config.sample_height / p) * (config.sample_width / p);
    table.push_back(
        {"patch_embed.pos_embedding", {1, config.max_text_seq_length + video_count, E}});
  }
  // 1.0 stores the kernel of a convolution, 1.5 the matrix of a linear layer.
  if (config.patch_size_t) {
    AddLinear(table, "patch_embed.proj", {E, config.in_channels * *config.patch_size_t * p * p});
  } else {
    AddLinear(table, "patch_embed.proj", {E, config.in_channels, p, p});
  }
  AddLinear(table, "patch_embed.text_proj", {E, config.text_embed_dim});
  AddLinear(table, "time_embedding.linear_1", {config.time_embed_dim, E});
  AddLinear(table, "time_embedding.linear_2", {config.time_embed_dim, config.time_embed_dim});
  if (config.ofs_embed_dim) {
    const int64_t width = *config.ofs_embed_dim;
    AddLinear(table, "ofs_embedding.linear_1", {width, width});
    AddLinear(table, "ofs_embedding.linear_2", {width, width});
  }
}

}  // namespace

int64_t TensorSpec::element_count() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::vector<TensorSpec> TransformerTensors(const TransformerConfig& config) {
  const int64_t E = config.width();
  const int64_t patch_pixels = config.patch_frames() * config.patch_size * config.patch_size;
  std::vector<TensorSpec> table;
  AddEmbeddings(table, config);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    AddBlock(table, "transformer_blocks." + std::to_string(i) + ".", config);
  }
  AddLinear(table, "norm_final", {E});
  AddLinear(table, "norm_out.linear", {2 * E, config.time_embed_dim});
  AddLinear(table, "norm_out.norm", {E});
  AddLinear(table, "proj_out", {config.out_channels * patch_pixels, E});
  return table;
}

}  // namespace cogwheel
