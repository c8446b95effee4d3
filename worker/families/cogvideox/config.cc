#include "worker/families/cogvideox/config.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <utility>

#include "worker/families/cogvideox/config_fields.h"
#include "worker/weights/component_files.h"
#include "worker/weights/json_fields.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

// Generous beside the published models (widest 4096, deepest 42), small enough that no product of
// two or three of them overflows.
constexpr IntBounds kWidth{1, 65536};
constexpr IntBounds kLayers{1, 512};
constexpr IntBounds kHeads{1, 1024};
constexpr IntBounds kChannels{1, 4096};
constexpr IntBounds kSide{2, 16384};
constexpr IntBounds kFrames{1, 4096};
constexpr double kMinEpsilon = 1e-12, kMaxEpsilon = 0.1;

// "vae": ["diffusers", "AutoencoderKLCogVideoX"]; the library does not matter. Returns the class.
std::string CheckComponent(const JsonFields& json, const char* component,
                           std::initializer_list<const char*> classes) {
  const nlohmann::json& pair = json.At(component);
  std::string expected;
  for (const char* name : classes) {
    if (pair.is_array() && pair.size() == 2 && pair[1] == name) return name;
    expected += (expected.empty() ? "[library, " : " or ") + std::string(name);
  }
  json.Refuse(component, pair, expected + "]");
}

void RefuseQuantised(const JsonFields& json) {
  if (json.At("quantization_config").is_null()) return;
  std::string method = "unknown";
  json.Object("quantization_config").Read("quant_method", method);
  throw std::invalid_argument(json.file() + ": quantization_config says quant_method \"" +
                              PrintableName(method) +
                              "\"; quantised models are not read: take the original's files, or "
                              "dequantize() it before saving");
}

void CheckArchitecture(const JsonFields& json, const TransformerConfig& c) {
  RequireOnly(json, "activation_fn", "gelu-approximate");
  RequireOnly(json, "timestep_activation_fn", "silu");
  RequireOnly(json, "attention_bias", true);
  RequireOnly(json, "norm_elementwise_affine", true);
  RequireOnly(json, "flip_sin_to_cos", true);
  RequireOnly(json, "freq_shift", 0);
  RequireOnly(json, "temporal_compression_ratio", 4);
  RequireOnly(json, "_class_name", "CogVideoXTransformer3DModel");
  // The reference heeds patch_bias in 1.0 checkpoints only.
  if (!c.patch_size_t) RequireOnly(json, "patch_bias", true);
  if (c.use_rotary_positional_embeddings) {
    Require(c.attention_head_dim % 16 == 0, json, "attention_head_dim",
            "a multiple of 16 with rotary embeddings");
  } else {
    Require(
        c.width() % 16 == 0, json, "attention_head_dim",
        "times num_attention_heads " + std::to_string(c.num_attention_heads) + " a multiple of 16");
  }
  Require(c.sample_height % 2 == 0, json, "sample_height", "an even number");
  Require(c.sample_width % 2 == 0, json, "sample_width", "an even number");
  Require(c.time_embed_dim % 2 == 0, json, "time_embed_dim", "an even number");
  Require(!c.use_learned_positional_embeddings || c.use_rotary_positional_embeddings, json,
          "use_learned_positional_embeddings", "true only with rotary embeddings");
  Require(!c.ofs_embed_dim || *c.ofs_embed_dim == c.time_embed_dim, json, "ofs_embed_dim",
          "time_embed_dim " + std::to_string(c.time_embed_dim));
}

void CheckEqual(int64_t value, int64_t expected, const std::string& what) {
  if (value != expected) {
    throw std::invalid_argument(what + ": " + std::to_string(value) + " against " +
                                std::to_string(expected));
  }
}

void CheckFit(const CheckpointConfigs& configs, const std::string& dir) {
  const int64_t latents = configs.vae.latent_channels;
  CheckEqual(configs.transformer.in_channels,
             configs.model_index.image_to_video() ? 2 * latents : latents,
             dir + ": transformer in_channels against the VAE's latent channels");
  CheckEqual(configs.transformer.out_channels, latents,
             dir + ": transformer out_channels against the VAE's latent channels");
  CheckEqual(configs.text_encoder.d_model, configs.transformer.text_embed_dim,
             dir + ": text encoder d_model against the transformer's text_embed_dim");
  if (!configs.cogwheel.preview) return;
  for (const std::vector<double>& row : configs.cogwheel.preview->matrix) {
    CheckEqual(static_cast<int64_t>(row.size()), latents,
               dir + "/cogwheel.json: preview.matrix row length against latent channels");
  }
}

}  // namespace

TransformerConfig ParseTransformerConfig(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  RefuseQuantised(json);
  TransformerConfig c;
  json.Read("num_attention_heads", c.num_attention_heads, kHeads);
  json.Read("attention_head_dim", c.attention_head_dim, {1, 256});
  json.Read("num_layers", c.num_layers, kLayers);
  json.Read("in_channels", c.in_channels, kChannels);
  json.Read("out_channels", c.out_channels, kChannels);
  json.Read("patch_size", c.patch_size, {2, 2});
  json.Read("patch_size_t", c.patch_size_t, {2, 2});
  json.Read("sample_height", c.sample_height, kSide);
  json.Read("sample_width", c.sample_width, kSide);
  json.Read("sample_frames", c.sample_frames, kFrames);
  json.Read("use_rotary_positional_embeddings", c.use_rotary_positional_embeddings);
  json.Read("use_learned_positional_embeddings", c.use_learned_positional_embeddings);
  json.Read("ofs_embed_dim", c.ofs_embed_dim, {2, kWidth.max});
  json.Read("time_embed_dim", c.time_embed_dim, {2, kWidth.max});
  json.Read("text_embed_dim", c.text_embed_dim, kWidth);
  json.Read("max_text_seq_length", c.max_text_seq_length, {1, 4096});
  json.Read("norm_eps", c.norm_eps, kMinEpsilon, kMaxEpsilon);
  json.Read("spatial_interpolation_scale", c.spatial_interpolation_scale, 0.01, 100);
  json.Read("temporal_interpolation_scale", c.temporal_interpolation_scale, 0.01, 100);
  CheckArchitecture(json, c);
  return c;
}

VaeConfig ParseVaeConfig(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  RefuseQuantised(json);
  VaeConfig c;
  json.Read("in_channels", c.in_channels, {3, 3});
  json.Read("out_channels", c.out_channels, {3, 3});
  json.Read("latent_channels", c.latent_channels, kChannels);
  json.Read("layers_per_block", c.layers_per_block, {1, 64});
  json.Read("norm_eps", c.norm_eps, kMinEpsilon, kMaxEpsilon);
  json.Read("norm_num_groups", c.norm_num_groups, kChannels);
  json.Read("temporal_compression_ratio", c.temporal_compression_ratio, 4, 4);
  json.Read("sample_height", c.sample_height, {16, kSide.max});
  json.Read("sample_width", c.sample_width, {16, kSide.max});
  json.Read("scaling_factor", c.scaling_factor, 1e-6, 1e6);
  json.Read("invert_scale_latents", c.invert_scale_latents);
  RequireOnly(json, "_class_name", "AutoencoderKLCogVideoX");
  RequireOnly(json, "down_block_types", nlohmann::json(4, "CogVideoXDownBlock3D"));
  RequireOnly(json, "up_block_types", nlohmann::json(4, "CogVideoXUpBlock3D"));
  RequireOnly(json, "act_fn", "silu");
  RequireOnly(json, "use_quant_conv", false);
  RequireOnly(json, "use_post_quant_conv", false);
  for (const char* key : {"shift_factor", "latents_mean", "latents_std"}) {
    RequireOnly(json, key, nullptr);
  }
  if (const nlohmann::json& blocks = json.At("block_out_channels"); !blocks.is_null()) {
    c.block_out_channels.clear();
    for (const double channels : ReadNumbers(json, "block_out_channels", blocks, 4)) {
      Require(std::floor(channels) == channels, json, "block_out_channels", "4 whole numbers");
      c.block_out_channels.push_back(static_cast<int64_t>(channels));
    }
  }
  for (const int64_t channels : c.block_out_channels) {
    Require(channels >= 1 && channels <= kChannels.max && channels % c.norm_num_groups == 0, json,
            "block_out_channels",
            "multiples of norm_num_groups " + std::to_string(c.norm_num_groups));
  }
  return c;
}

TextEncoderConfig ParseTextEncoderConfig(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  RefuseQuantised(json);
  RequireOnly(json, "transformers_weights", nullptr);  // names another file
  TextEncoderConfig c;
  json.Read("vocab_size", c.vocab_size, {2, 1 << 22});
  json.Read("d_model", c.d_model, kWidth);
  json.Read("d_kv", c.d_kv, {1, 1024});
  json.Read("d_ff", c.d_ff, {1, 1 << 20});
  json.Read("num_layers", c.num_layers, kLayers);
  json.Read("num_heads", c.num_heads, kHeads);
  json.Read("relative_attention_num_buckets", c.relative_attention_num_buckets, {4, 4096});
  json.Read("relative_attention_max_distance", c.relative_attention_max_distance, {2, 1 << 20});
  json.Read("layer_norm_epsilon", c.layer_norm_epsilon, kMinEpsilon, kMaxEpsilon);
  json.Read("feed_forward_proj", c.feed_forward_proj);
  // The class default is "relu", which no CogVideoX checkpoint has.
  Require(c.feed_forward_proj == "gated-gelu", json, "feed_forward_proj", "\"gated-gelu\"");
  Require(c.relative_attention_num_buckets % 4 == 0, json, "relative_attention_num_buckets",
          "a multiple of 4");
  Require(c.relative_attention_max_distance > c.relative_attention_num_buckets / 4, json,
          "relative_attention_max_distance", "more than a quarter of the buckets");
  return c;
}

SchedulerConfig ParseSchedulerConfig(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  SchedulerConfig c;
  json.Read("num_train_timesteps", c.num_train_timesteps, {200, 100'000});
  json.Read("beta_start", c.beta_start, 1e-9, 0.999);
  json.Read("beta_end", c.beta_end, 1e-9, 0.999);
  json.Read("beta_schedule", c.beta_schedule);
  json.Read("set_alpha_to_one", c.set_alpha_to_one);
  json.Read("prediction_type", c.prediction_type);
  json.Read("rescale_betas_zero_snr", c.rescale_betas_zero_snr);
  json.Read("snr_shift_scale", c.snr_shift_scale, 1e-3, 1e3);
  RequireOnly(json, "trained_betas", nullptr);
  Require(c.beta_schedule == "scaled_linear", json, "beta_schedule", "\"scaled_linear\"");
  // The class default is "epsilon", which no CogVideoX checkpoint has.
  Require(c.prediction_type == "v_prediction", json, "prediction_type", "\"v_prediction\"");
  return c;
}

TokenizerConfig ParseTokenizerConfig(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  TokenizerConfig config;
  json.Read("extra_ids", config.extra_ids, {0, 10'000});
  const JsonFields added = json.Object("added_tokens_decoder");
  for (const auto& [id, token] : added.object().items()) {
    const bool number =
        !id.empty() && id.size() <= 7 && id.find_first_not_of("0123456789") == std::string::npos;
    if (!number || !token.is_object()) added.Refuse(id, token, "a token id with an object");
    JsonFields(token, file, "added_tokens_decoder." + id + ".")
        .Read("content", config.added_tokens[std::stoll(id)]);
  }
  // The second is transformers 5's name.
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const nlohmann::json& more = json.At(key);
    for (const nlohmann::json& token : more.is_array() ? more : nlohmann::json::array()) {
      if (token.is_string()) config.additional_special_tokens.push_back(token.get<std::string>());
    }
  }
  return config;
}

ModelIndex ParseModelIndex(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  ModelIndex index;
  json.Read("_class_name", index.pipeline);
  Require(index.pipeline == "CogVideoXPipeline" || index.image_to_video(), json, "_class_name",
          "\"CogVideoXPipeline\" or \"CogVideoXImageToVideoPipeline\"");
  CheckComponent(json, "transformer", {"CogVideoXTransformer3DModel"});
  CheckComponent(json, "vae", {"AutoencoderKLCogVideoX"});
  CheckComponent(json, "text_encoder", {"T5EncoderModel"});
  CheckComponent(json, "tokenizer", {"T5Tokenizer", "T5TokenizerFast"});
  index.scheduler =
      CheckComponent(json, "scheduler", {"CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"});
  return index;
}

CheckpointConfigs ReadCheckpointConfigs(const std::string& model_dir) {
  if (!std::filesystem::is_directory(model_dir)) {
    throw std::invalid_argument("checkpoint folder " + model_dir + " does not exist");
  }
  const auto parse = [&model_dir](auto parser, const std::string& name) {
    const std::string path = model_dir + "/" + name;
    return parser(ReadSmallFile(path), path);
  };
  if (!std::filesystem::exists(model_dir + "/model_index.json")) {
    throw std::invalid_argument(model_dir + "/model_index.json is missing" +
                                WhatFolderIs(model_dir));
  }
  CheckpointConfigs configs;
  configs.model_index = parse(ParseModelIndex, "model_index.json");
  configs.transformer = parse(ParseTransformerConfig, "transformer/config.json");
  configs.vae = parse(ParseVaeConfig, "vae/config.json");
  configs.text_encoder = parse(ParseTextEncoderConfig, "text_encoder/config.json");
  configs.scheduler = parse(ParseSchedulerConfig, "scheduler/scheduler_config.json");
  // Only spiece.model needs it; where that is missing too, the tokenizer says what is.
  if (std::filesystem::exists(model_dir + "/tokenizer/tokenizer_config.json") ||
      std::filesystem::exists(model_dir + "/tokenizer/spiece.model")) {
    configs.tokenizer = parse(ParseTokenizerConfig, "tokenizer/tokenizer_config.json");
  }
  if (std::filesystem::exists(model_dir + "/cogwheel.json")) {
    configs.cogwheel = parse(ParseCogwheelJson, "cogwheel.json");
  }
  CheckFit(configs, model_dir);
  return configs;
}

}  // namespace cogwheel
