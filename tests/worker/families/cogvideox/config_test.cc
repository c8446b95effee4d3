// Config files: class defaults, and that every wrong value is refused with file, key and value.
#include "worker/families/cogvideox/config.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace cogwheel {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

template <typename Parser>
void ExpectRefused(Parser parser, const std::string& text, const std::string& key,
                   const std::string& value) {
  EXPECT_THAT([&] { parser(text, "some/config.json"); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr("some/config.json"), HasSubstr(key), HasSubstr(value))))
      << text;
}

TEST(TransformerConfig, MissingKeysTakeTheClassDefaults) {
  const TransformerConfig config = ParseTransformerConfig("{}", "f");
  EXPECT_EQ(config.width(), 1920);
  EXPECT_EQ(config.num_layers, 30);
  EXPECT_EQ(config.in_channels, 16);
  EXPECT_EQ(config.patch_size_t, std::nullopt);
  EXPECT_EQ(config.ofs_embed_dim, std::nullopt);
  EXPECT_EQ(config.sample_latent_frames(), 13);
  EXPECT_EQ(config.time_embed_dim, 512);
  EXPECT_EQ(config.max_text_seq_length, 226);
  EXPECT_FALSE(config.use_rotary_positional_embeddings);
  EXPECT_DOUBLE_EQ(config.norm_eps, 1e-5);
  EXPECT_DOUBLE_EQ(config.spatial_interpolation_scale, 1.875);
}

TEST(TransformerConfig, ReadsWhatIsThereAndIgnoresUnknownKeys) {
  const TransformerConfig config = ParseTransformerConfig(
      R"({"num_attention_heads": 48, "patch_size_t": 2, "ofs_embed_dim": 512, "patch_bias": false,
          "use_rotary_positional_embeddings": true, "dropout": 0.5, "shapes": {"a": [1]}})",
      "f");
  EXPECT_EQ(config.width(), 3072);
  EXPECT_EQ(config.patch_size_t, 2);
  EXPECT_EQ(config.ofs_embed_dim, 512);
  EXPECT_TRUE(config.use_rotary_positional_embeddings);
}

// diffusers' own dummies: heads of 8 with the sin-cos table, which asks for their sum alone.
TEST(TransformerConfig, WithoutRotaryEmbeddingsOnlyTheWidthCounts) {
  for (const auto& [heads, dim] : {std::pair{4, 8}, {2, 8}, {16, 1}, {4, 12}, {16, 5}}) {
    const std::string text = R"({"num_attention_heads": )" + std::to_string(heads) +
                             R"(, "attention_head_dim": )" + std::to_string(dim) + "}";
    EXPECT_EQ(ParseTransformerConfig(text, "f").width(), heads * dim);
  }
}

TEST(TransformerConfig, RefusesWrongTypesAndRanges) {
  const auto refused = [](const char* text, const char* key, const char* value) {
    ExpectRefused(ParseTransformerConfig, text, key, value);
  };
  refused(R"({"num_layers": 0})", "num_layers", "0");
  refused(R"({"num_layers": -3})", "num_layers", "-3");
  refused(R"({"num_layers": 99999999999999999999})", "num_layers", "1e+20");
  refused(R"({"num_layers": 18446744073709551615})", "num_layers", "1844");
  refused(R"({"num_layers": "30"})", "num_layers", "\"30\"");
  refused(R"({"num_layers": 2.5})", "num_layers", "2.5");
  refused(R"({"num_layers": [30]})", "num_layers", "[30]");
  refused(R"({"attention_head_dim": 24, "use_rotary_positional_embeddings": true})",
          "attention_head_dim", "24");
  refused(R"({"attention_head_dim": 8, "use_rotary_positional_embeddings": true})",
          "attention_head_dim", "multiple of 16");
  refused(R"({"attention_head_dim": 8, "num_attention_heads": 3})", "attention_head_dim",
          "num_attention_heads 3");
  refused(R"({"attention_head_dim": 0})", "attention_head_dim", "0");
  refused(R"({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}})",
          "quantization_config", "bitsandbytes");
  refused(R"({"sample_height": 61})", "sample_height", "61");
  refused(R"({"patch_size": 4})", "patch_size", "4");
  refused(R"({"patch_size_t": 3})", "patch_size_t", "3");
  refused(R"({"ofs_embed_dim": 256})", "ofs_embed_dim", "256");
  refused(R"({"norm_eps": 1e300})", "norm_eps", "1e+300");
  refused(R"({"norm_eps": -1e-5})", "norm_eps", "-1e-05");
  refused(R"({"activation_fn": "gelu"})", "activation_fn", "gelu");
  refused(R"({"attention_bias": false})", "attention_bias", "false");
  refused(R"({"patch_bias": false})", "patch_bias", "false");
  refused(R"({"use_learned_positional_embeddings": true})", "use_learned", "true");
  refused(R"({"use_rotary_positional_embeddings": 1})", "use_rotary", "1");
  refused(R"({"_class_name": "WanTransformer3DModel"})", "_class_name", "Wan");
}

TEST(TransformerConfig, RefusesTextThatIsNoObject) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{"), std::string("{\"a\": 1e999}"),
        std::string("\xff\xfe{}"), std::string("null"), "{\"a\": " + deep + "}"}) {
    ExpectRefused(ParseTransformerConfig, text, "JSON", "");
  }
}

TEST(TransformerConfig, LongValuesAreShortenedInMessages) {
  const std::string text = "{\"num_layers\": \"" + std::string(100'000, 'x') + "\\n\\u00e9\"}";
  try {
    ParseTransformerConfig(text, "f");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_LT(std::string(error.what()).size(), 250u);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

TEST(VaeConfig, DefaultsAndRefusals) {
  const VaeConfig config = ParseVaeConfig("{}", "f");
  EXPECT_THAT(config.block_out_channels, testing::ElementsAre(128, 256, 256, 512));
  EXPECT_DOUBLE_EQ(config.scaling_factor, 1.15258426);
  EXPECT_FALSE(config.invert_scale_latents);
  ExpectRefused(ParseVaeConfig, R"({"block_out_channels": [128, 256, 256]})", "block_out", "128");
  ExpectRefused(ParseVaeConfig, R"({"block_out_channels": [128, 256, 256, 500]})", "block_out",
                "500");
  ExpectRefused(ParseVaeConfig, R"({"block_out_channels": [32, 32.5, 32, 32]})", "block_out",
                "32.5");
  ExpectRefused(ParseVaeConfig, R"({"scaling_factor": 0})", "scaling_factor", "0");
  ExpectRefused(ParseVaeConfig, R"({"shift_factor": 0.1})", "shift_factor", "0.1");
  ExpectRefused(ParseVaeConfig, R"({"use_quant_conv": true})", "use_quant_conv", "true");
  ExpectRefused(ParseVaeConfig, R"({"temporal_compression_ratio": 8})", "temporal_comp", "8");
  ExpectRefused(ParseVaeConfig, R"({"down_block_types": ["DownBlock2D"]})", "down_block", "2D");
}

TEST(TextEncoderConfig, NeedsTheGatedFeedForward) {
  const TextEncoderConfig config =
      ParseTextEncoderConfig(R"({"feed_forward_proj": "gated-gelu", "d_model": 4096})", "f");
  EXPECT_EQ(config.d_model, 4096);
  EXPECT_EQ(config.relative_attention_num_buckets, 32);
  ExpectRefused(ParseTextEncoderConfig, "{}", "feed_forward_proj", "gated-gelu");
  ExpectRefused(ParseTextEncoderConfig, R"({"feed_forward_proj": "gated-gelu", "num_heads": 0})",
                "num_heads", "0");
}

TEST(SchedulerConfig, NeedsVelocityPrediction) {
  const SchedulerConfig config =
      ParseSchedulerConfig(R"({"prediction_type": "v_prediction", "snr_shift_scale": 1.0})", "f");
  EXPECT_DOUBLE_EQ(config.beta_end, 0.012);
  EXPECT_DOUBLE_EQ(config.snr_shift_scale, 1.0);
  EXPECT_TRUE(config.set_alpha_to_one);
  ExpectRefused(ParseSchedulerConfig, "{}", "prediction_type", "v_prediction");
  ExpectRefused(ParseSchedulerConfig,
                R"({"prediction_type": "v_prediction", "beta_schedule": "linear"})",
                "beta_schedule", "linear");
  ExpectRefused(ParseSchedulerConfig,
                R"({"prediction_type": "v_prediction", "trained_betas": [0.1]})", "trained_betas",
                "0.1");
}

TEST(TokenizerConfig, ReadsAddedTokens) {
  const TokenizerConfig config = ParseTokenizerConfig(
      R"({"extra_ids": 3, "added_tokens_decoder": {"7": {"content": "<x>"}},
          "additional_special_tokens": ["<a>"], "extra_special_tokens": ["<b>"]})",
      "f");
  EXPECT_EQ(config.extra_ids, 3);
  EXPECT_THAT(config.added_tokens, testing::ElementsAre(testing::Pair(7, "<x>")));
  EXPECT_THAT(config.additional_special_tokens, testing::ElementsAre("<a>", "<b>"));
  ExpectRefused(ParseTokenizerConfig, R"({"extra_ids": -1})", "extra_ids", "-1");
  ExpectRefused(ParseTokenizerConfig, R"({"added_tokens_decoder": {"-7": {}}})", "-7", "{}");
  ExpectRefused(ParseTokenizerConfig, R"({"added_tokens_decoder": {"7": 1}})", "7", "1");
  ExpectRefused(ParseTokenizerConfig, R"({"added_tokens_decoder": {"7\n": 1}})", "7?", "1");
}

TEST(CogwheelJson, EveryPartIsOptional) {
  const CogwheelJson empty = ParseCogwheelJson("{}", "f");
  EXPECT_EQ(empty.name, std::nullopt);
  EXPECT_FALSE(empty.preview.has_value());
  const CogwheelJson json = ParseCogwheelJson(
      R"({"name": "shapes", "defaults": {"steps": 10, "guidance_scale": 3, "scheduler": "dpm"},
          "limits": {"max_frames": 17},
          "preview": {"matrix": [[1, 2], [3, 4], [5, 6]], "bias": [0.5, 0.25, 0]}})",
      "f");
  EXPECT_EQ(json.name, "shapes");
  EXPECT_EQ(json.steps, 10);
  EXPECT_EQ(json.guidance_scale, 3.0);
  EXPECT_EQ(json.scheduler, "dpm");
  EXPECT_EQ(json.max_frames, 17);
  ASSERT_TRUE(json.preview.has_value());
  EXPECT_THAT(json.preview->matrix[2], testing::ElementsAre(5, 6));
}

std::vector<std::string> Many(int count) {
  std::vector<std::string> words;
  for (int i = 0; i < count; ++i) words.push_back("w" + std::to_string(i));
  return words;
}

TEST(CogwheelJson, Refusals) {
  const auto refused = [](const char* text, const char* key, const char* value) {
    ExpectRefused(ParseCogwheelJson, text, key, value);
  };
  refused(R"({"name": "a\nb"})", "name", "a\\nb");
  refused(R"({"name": ""})", "name", "\"\"");
  refused(R"({"defaults": 1})", "defaults", "1");
  refused(R"({"defaults": {"steps": 201}})", "defaults.steps", "201");
  refused(R"({"defaults": {"guidance_scale": 50.5}})", "defaults.guidance_scale", "50.5");
  refused(R"({"defaults": {"scheduler": "euler"}})", "defaults.scheduler", "euler");
  refused(R"({"limits": {"max_frames": 0}})", "limits.max_frames", "0");
  refused(R"({"preview": {"matrix": [[1], [1]], "bias": [0, 0, 0]}})", "preview.matrix", "3 rows");
  refused(R"({"preview": {"matrix": [[1], [1], [1]]}})", "preview.bias", "null");
  refused(R"({"preview": {"matrix": [[1], ["x"], [1]], "bias": [0, 0, 0]}})", "preview.matrix",
          "x");
}

TEST(CogwheelJson, WhatTheModelSaysOfItself) {
  const CogwheelJson json = ParseCogwheelJson(
      R"({"description": "one shape", "sample_prompts": ["A circle.", "a star"],
          "vocabulary": ["a", "circle", "star"]})",
      "f");
  EXPECT_EQ(json.description, "one shape");
  EXPECT_THAT(json.sample_prompts, testing::ElementsAre("A circle.", "a star"));
  EXPECT_THAT(json.vocabulary, testing::ElementsAre("a", "circle", "star"));
  EXPECT_TRUE(ParseCogwheelJson("{}", "f").vocabulary.empty());
  // Without a vocabulary any prompt may be a sample.
  EXPECT_EQ(ParseCogwheelJson(R"({"sample_prompts": ["a cat"]})", "f").sample_prompts.size(), 1);
  EXPECT_EQ(
      ParseCogwheelJson(nlohmann::json{{"vocabulary", Many(4096)}}.dump(), "f").vocabulary.size(),
      4096);
}

TEST(CogwheelJson, RefusedTexts) {
  const auto refused = [](const std::string& text, const char* key, const char* value) {
    ExpectRefused(ParseCogwheelJson, text.c_str(), key, value);
  };
  refused(R"({"description": "a\nb"})", "description", "1 to 512 bytes");
  refused(R"({"description": ["a"]})", "description", "a text");
  refused(R"({"description": ""})", "description", "1 to 512 bytes");
  refused(R"({"description": ")" + std::string(513, 'x') + "\"}", "description", "1 to 512 bytes");
  refused(R"({"sample_prompts": "a"})", "sample_prompts", "a list of at most 16 texts");
  refused(R"({"sample_prompts": ["a", 7]})", "sample_prompts[1]", "7");
  refused(R"({"sample_prompts": ["a\tb"]})", "sample_prompts[0]", "control characters");
  refused(nlohmann::json{{"sample_prompts", Many(17)}}.dump(), "sample_prompts", "at most 16");
  refused(R"({"sample_prompts": ["a cat"], "vocabulary": ["a"]})", "sample_prompts[0]",
          "which lacks cat");
  refused(R"({"vocabulary": {"a": 1}})", "vocabulary", "a list of at most 4096 texts");
  refused(nlohmann::json{{"vocabulary", Many(4097)}}.dump(), "vocabulary", "at most 4096");
  refused(R"({"vocabulary": ["a", "Cat"]})", "vocabulary[1]", "the nearest is cat");
  refused(R"({"vocabulary": ["new york"]})", "vocabulary[0]", "one word in small letters");
  refused(R"({"vocabulary": [""]})", "vocabulary[0]", "of at most 64 bytes");
}

// A folder that reads, and can then be damaged file by file.
class CheckpointFolder : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() /
           ("cogwheel-config-" + std::to_string(getpid()) + "-" +
            testing::UnitTest::GetInstance()->current_test_info()->name());
    const std::string shapes = std::string(COGWHEEL_SOURCE_DIR) + "/models/shapes";
    for (const char* name : {"model_index.json", "transformer/config.json", "vae/config.json",
                             "text_encoder/config.json", "scheduler/scheduler_config.json",
                             "tokenizer/tokenizer_config.json", "cogwheel.json"}) {
      std::filesystem::create_directories((dir_ / name).parent_path());
      std::filesystem::copy_file(shapes + "/" + name, dir_ / name);
    }
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  nlohmann::json Read(const std::string& name) const {
    std::ifstream file(dir_ / name);
    return nlohmann::json::parse(file);
  }
  void Write(const std::string& name, const nlohmann::json& json) const {
    std::ofstream(dir_ / name) << json.dump();
  }
  void ExpectError(const std::string& first, const std::string& second) const {
    EXPECT_THAT([&] { ReadCheckpointConfigs(dir_.string()); },
                ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr(first), HasSubstr(second))));
  }

  std::filesystem::path dir_;
};

// The reference's defaults then: what a folder's tokenizer.json does not say.
TEST_F(CheckpointFolder, OnlyASpieceModelNeedsTheTokenizerConfig) {
  Write("tokenizer/tokenizer_config.json", {{"extra_ids", 3}});
  EXPECT_EQ(ReadCheckpointConfigs(dir_.string()).tokenizer.extra_ids, 3);
  std::filesystem::remove(dir_ / "tokenizer/tokenizer_config.json");
  EXPECT_EQ(ReadCheckpointConfigs(dir_.string()).tokenizer.extra_ids, 100);
  Write("tokenizer/spiece.model", {});
  ExpectError("tokenizer/tokenizer_config.json", "missing");
}

TEST_F(CheckpointFolder, TheShippedModelReads) {
  const CheckpointConfigs configs = ReadCheckpointConfigs(dir_.string());
  EXPECT_FALSE(configs.model_index.image_to_video());
  EXPECT_EQ(configs.transformer.text_embed_dim, configs.text_encoder.d_model);
  EXPECT_EQ(configs.cogwheel.name, "shapes");
}

TEST_F(CheckpointFolder, MissingFilesAreNamed) {
  std::filesystem::remove(dir_ / "cogwheel.json");
  EXPECT_NO_THROW(ReadCheckpointConfigs(dir_.string()));
  std::filesystem::remove(dir_ / "vae/config.json");
  ExpectError("vae/config.json", "missing");
  std::filesystem::remove_all(dir_);
  ExpectError(dir_.string(), "does not exist");
}

TEST_F(CheckpointFolder, PartsThatDoNotFitAreRefused) {
  nlohmann::json text = Read("text_encoder/config.json");
  text["d_model"] = 64;
  Write("text_encoder/config.json", text);
  ExpectError("d_model", "64");
}

TEST_F(CheckpointFolder, AnImageModelNeedsTwiceTheChannels) {
  nlohmann::json index = Read("model_index.json");
  index["_class_name"] = "CogVideoXImageToVideoPipeline";
  Write("model_index.json", index);
  ExpectError("in_channels", "16 against 32");
}

TEST_F(CheckpointFolder, OtherClassesAreRefused) {
  nlohmann::json index = Read("model_index.json");
  index["vae"][1] = "AutoencoderKL";
  Write("model_index.json", index);
  ExpectError("vae is", "AutoencoderKL");
  index["_class_name"] = "StableDiffusionPipeline";
  Write("model_index.json", index);
  ExpectError("_class_name", "StableDiffusionPipeline");
}

TEST_F(CheckpointFolder, AnOversizedFileIsNotRead) {
  std::filesystem::resize_file(dir_ / "model_index.json", int64_t{1} << 32);
  ExpectError("model_index.json", "larger");
}

}  // namespace
}  // namespace cogwheel
