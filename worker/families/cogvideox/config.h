#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/families/scheduler_config.h"

// The JSON files of a checkpoint folder. Fields are named like their keys; a missing key takes the
// reference class's default, an unknown one is ignored. The bytes are not trusted: every value has
// bounds. Throws std::invalid_argument naming file, key and value. No torch.
namespace cogwheel {

// transformer/config.json (CogVideoXTransformer3DModel).
struct TransformerConfig {
  int64_t num_attention_heads = 30;
  int64_t attention_head_dim = 64;
  int64_t num_layers = 30;
  int64_t in_channels = 16;
  int64_t out_channels = 16;
  int64_t patch_size = 2;
  std::optional<int64_t> patch_size_t;  // 1.5 models
  int64_t sample_height = 60;           // latent rows
  int64_t sample_width = 90;            // latent columns
  int64_t sample_frames = 49;           // pixel frames
  bool use_rotary_positional_embeddings = false;
  bool use_learned_positional_embeddings = false;
  std::optional<int64_t> ofs_embed_dim;
  int64_t time_embed_dim = 512;
  int64_t text_embed_dim = 4096;
  int64_t max_text_seq_length = 226;
  double norm_eps = 1e-5;
  double spatial_interpolation_scale = 1.875;
  double temporal_interpolation_scale = 1.0;
  int64_t temporal_compression_ratio = 4;

  int64_t width() const { return num_attention_heads * attention_head_dim; }  // E
  int64_t patch_frames() const { return patch_size_t.value_or(1); }           // pt
  bool version_1_5() const { return patch_size_t.has_value(); }
  // Latent frames of the sample, before padding to patches.
  int64_t sample_latent_frames() const {
    return (sample_frames - 1) / temporal_compression_ratio + 1;
  }
};

// The VAE's compression of a side, which its four blocks fix.
inline constexpr int64_t kPixelsPerLatent = 8;

// vae/config.json (AutoencoderKLCogVideoX).
struct VaeConfig {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  int64_t latent_channels = 16;
  std::vector<int64_t> block_out_channels = {128, 256, 256, 512};
  int64_t layers_per_block = 3;
  double norm_eps = 1e-6;
  int64_t norm_num_groups = 32;
  double temporal_compression_ratio = 4;
  int64_t sample_height = 480;  // pixels
  int64_t sample_width = 720;   // pixels
  double scaling_factor = 1.15258426;
  bool invert_scale_latents = false;
};

// text_encoder/config.json (T5EncoderModel).
struct TextEncoderConfig {
  int64_t vocab_size = 32128;
  int64_t d_model = 512;
  int64_t d_kv = 64;
  int64_t d_ff = 2048;
  int64_t num_layers = 6;
  int64_t num_heads = 8;
  int64_t relative_attention_num_buckets = 32;
  int64_t relative_attention_max_distance = 128;
  double layer_norm_epsilon = 1e-6;
  std::string feed_forward_proj = "relu";
};

// tokenizer/tokenizer_config.json (T5Tokenizer); may be missing beside a tokenizer.json.
struct TokenizerConfig {
  int64_t extra_ids = 100;
  std::map<int64_t, std::string> added_tokens;  // added_tokens_decoder: id -> text
  std::vector<std::string> additional_special_tokens;
};

// model_index.json: the pipeline's and the scheduler's class names.
struct ModelIndex {
  std::string pipeline;
  std::string scheduler;
  bool image_to_video() const { return pipeline == "CogVideoXImageToVideoPipeline"; }
};

// cogwheel.json, which may be missing.
struct CogwheelJson {
  struct Preview {
    std::vector<std::vector<double>> matrix;  // [3][latent channels]: RGB in [0, 1] from a latent
    std::vector<double> bias;                 // [3]
  };
  std::optional<std::string> name;
  std::string variant;  // of the weight files; empty: the plain ones
  std::optional<int64_t> steps, fps, frames, height, width;
  std::optional<double> guidance_scale;
  std::optional<std::string> scheduler;  // "ddim" | "dpm"
  std::optional<int64_t> max_frames, max_steps, max_height, max_width;
  std::optional<Preview> preview;
  std::string description;  // what it draws, one line
  std::vector<std::string> sample_prompts, vocabulary;
};

struct CheckpointConfigs {
  ModelIndex model_index;
  TransformerConfig transformer;
  VaeConfig vae;
  TextEncoderConfig text_encoder;
  SchedulerConfig scheduler;
  TokenizerConfig tokenizer;
  CogwheelJson cogwheel;
};

// Parsers of one file's text; `file` is for messages.
TransformerConfig ParseTransformerConfig(const std::string& text, const std::string& file);
VaeConfig ParseVaeConfig(const std::string& text, const std::string& file);
TextEncoderConfig ParseTextEncoderConfig(const std::string& text, const std::string& file);
SchedulerConfig ParseSchedulerConfig(const std::string& text, const std::string& file);
TokenizerConfig ParseTokenizerConfig(const std::string& text, const std::string& file);
ModelIndex ParseModelIndex(const std::string& text, const std::string& file);
CogwheelJson ParseCogwheelJson(const std::string& text, const std::string& file);

// Reads a whole folder and checks that the parts fit together.
CheckpointConfigs ReadCheckpointConfigs(const std::string& model_dir);

}  // namespace cogwheel
