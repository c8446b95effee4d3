// Tokenizer ids against the Python tokenizer, the text encoder against the reference.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "worker/families/cogvideox/components.h"
#include "worker/families/cogvideox/prompt_encoder.h"
#include "worker/families/cogvideox/text_encoder.h"
#include "worker/families/cogvideox/tokenizer.h"
#include "worker/weights/open_file.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

nlohmann::json ReadJson(const std::string& name) {
  std::ifstream stream(GoldenPath(name));
  return nlohmann::json::parse(stream);
}

// Multiplies each tensor of a file whose name contains `part`.
void ScaleWeights(const std::string& path, const std::string& part, float factor) {
  std::ifstream stream(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  for (const auto& [name, entry] : ParseSafetensors(bytes, std::ssize(bytes), path)) {
    if (name.find(part) == std::string::npos) continue;
    for (int64_t at = entry.offset; at < entry.offset + entry.bytes; at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, &bytes[at], sizeof(value));
      value *= factor;
      std::memcpy(&bytes[at], &value, sizeof(value));
    }
  }
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(TokenizerTest, IdsEqualThePythonTokenizer) {
  const nlohmann::json golden = ReadJson("tokens.json");
  for (const nlohmann::json& set : golden["sets"]) {
    TokenizerConfig config;
    config.extra_ids = set["extra_ids"];
    const auto tokenizer = Tokenizer::Load(GoldenPath(""), config);
    for (size_t i = 0; i < golden["prompts"].size(); ++i) {
      const std::string prompt = golden["prompts"][i];
      const std::vector<int64_t> expected = set["ids"][i];
      EXPECT_EQ(tokenizer->Encode(prompt, set["max_length"]), expected)
          << config.extra_ids << " extra ids: " << prompt;
    }
  }
}

// transformers 5.23 for tests/golden/spiece.model and these tokens: new ones follow the sentinels,
// one that is a piece keeps its id.
TEST(TokenizerTest, AdditionalSpecialTokensAreRecognised) {
  TokenizerConfig config;
  config.additional_special_tokens = {"<extra_id_0>", "<zeta>", "<alpha>", "red", "<mid>"};
  const auto tokenizer = Tokenizer::Load(GoldenPath(""), config);
  EXPECT_THAT(tokenizer->Encode("<zeta> <alpha> <mid> a red circle", 9),
              ::testing::ElementsAre(291, 292, 293, 3, 147, 17, 1, 0, 0));
}

// What the reference's ids of 32 tokens have that those of 13 have not, is cut.
TEST(TokenizerTest, WhatIsNotReadIsKnown) {
  constexpr int kShort = 13, kUnknown = 2;
  const nlohmann::json golden = ReadJson("tokens.json");
  int cut = 0, whole = 0, unknown = 0;
  for (const nlohmann::json& set : golden["sets"]) {
    if (set["max_length"] == kShort) continue;
    TokenizerConfig config;
    config.extra_ids = set["extra_ids"];
    const auto tokenizer = Tokenizer::Load(GoldenPath(""), config);
    for (size_t i = 0; i < golden["prompts"].size(); ++i) {
      const std::string prompt = golden["prompts"][i];
      std::vector<int64_t> ids = set["ids"][i];
      while (ids.back() == 0) ids.pop_back();
      if (ids.size() == 32) continue;  // cut there too
      SCOPED_TRACE(prompt);
      const Tokenizer::Reading reading = tokenizer->Read(prompt, kShort);
      EXPECT_EQ(reading.cut_tokens, std::max<int64_t>(0, std::ssize(ids) - kShort));
      EXPECT_EQ(reading.cut_text.empty(), reading.cut_tokens == 0);
      EXPECT_TRUE(prompt.ends_with(reading.cut_text));
      const auto end = ids.begin() + std::min<int64_t>(std::ssize(ids), kShort) - 1;
      EXPECT_EQ(!reading.unknown.empty(), std::find(ids.begin(), end, kUnknown) != end);
      (reading.cut_tokens > 0 ? cut : whole) += 1;
      unknown += reading.unknown.empty() ? 0 : 1;
    }
  }
  EXPECT_GT(cut, 10);
  EXPECT_GT(whole, 10);
  EXPECT_GT(unknown, 10);
}

TEST(PromptEncoderTest, SaysWhatItDoesNotRead) {
  const TemporaryFolder folder;
  BuildCheckpoint("t2v-rope", folder.path());
  const T5PromptEncoder encoder(folder.path(), ReadCheckpointConfigs(folder.path()),
                                WeightFiles(ComponentOf(folder.path(), "text_encoder")), at::kCPU,
                                at::kFloat);
  const auto said = [&encoder](const std::string& prompt, int64_t max_tokens) {
    return encoder.Warnings(prompt, max_tokens);
  };
  const std::string prompt = "a red circle moving to the right";  // 7 tokens and </s>
  EXPECT_THAT(said(prompt, 8), ::testing::IsEmpty());
  EXPECT_THAT(said(prompt, 7),
              ::testing::ElementsAre("the model reads 7 tokens; 1 was cut, from 'right'"));
  EXPECT_THAT(said(prompt, 5),
              ::testing::ElementsAre("the model reads 5 tokens; 3 were cut, from 'to the right'"));
  EXPECT_THAT(said("", 1), ::testing::IsEmpty());
  // In the middle of a word, whose rest is of several tokens.
  EXPECT_THAT(said("red xxx\tred", 4), ::testing::ElementsAre(::testing::EndsWith("'xxx red'")));
  const std::string many = said(prompt + std::string(70, 'x') + "é", 8).at(0);
  EXPECT_THAT(many, ::testing::HasSubstr("were cut, from 'rightxx"));
  EXPECT_THAT(many, ::testing::EndsWith("x…'"));
  EXPECT_THAT(said("ß 红色 ß circle 圆", 20),
              ::testing::ElementsAre("the model's vocabulary lacks pieces of 'ß', '红色', '圆'"));
  EXPECT_THAT(said("а б в г д е ж з и й", 40),
              ::testing::ElementsAre(::testing::EndsWith("'з' and 2 more")));
}

// The frontend has named the words that are not in the vocabulary by then.
TEST(PromptEncoderTest, SaysNothingTwice) {
  const TemporaryFolder folder;
  BuildCheckpoint("t2v-rope", folder.path());
  CheckpointConfigs configs = ReadCheckpointConfigs(folder.path());
  configs.cogwheel.vocabulary = {"red", "große"};
  const T5PromptEncoder encoder(folder.path(), configs,
                                WeightFiles(ComponentOf(folder.path(), "text_encoder")), at::kCPU,
                                at::kFloat);
  EXPECT_THAT(encoder.Warnings("red Straße 圆", 40), ::testing::IsEmpty());
  EXPECT_THAT(encoder.Warnings("große red§ 圆", 40),
              ::testing::ElementsAre("the model's vocabulary lacks pieces of 'große', 'red§'"));
}

TEST(TokenizerTest, ADiskThatFailsIsNoDamagedModel) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/spiece.model";
  std::ofstream(path) << "no model";
  EXPECT_THAT(
      [&] { Tokenizer::Load(folder.path(), {}); },
      ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr(path + " is damaged")));
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/proc/self/mem", path);  // whose first byte gives EIO
  EXPECT_THAT([&] { Tokenizer::Load(folder.path(), {}); },
              ::testing::ThrowsMessage<ReadError>(
                  ::testing::HasSubstr(path + " cannot be read at byte 0")));
}

TEST(TokenizerTest, AMissingModelIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { Tokenizer::Load(folder.path(), {}); },
              ::testing::ThrowsMessage<std::invalid_argument>(
                  ::testing::HasSubstr(folder.path() + "/spiece.model")));
}

TEST(TextEncoderTest, BucketsEqualTheReference) {
  const nlohmann::json golden = ReadJson("ops.json")["t5_buckets"];
  int64_t distance = golden["first_distance"];
  for (const int64_t expected : golden["buckets"]) {
    EXPECT_EQ(RelativePositionBucket(distance, 32, 128), expected) << "distance " << distance;
    ++distance;
  }
}

// Embeddings are of size 1; two or three layers of sums over at most 256 products in fp32 round by
// eps·sqrt(256) = 2e-6 a layer.
TEST(TextEncoderTest, EmbeddingsEqualTheReference) {
  at::set_num_threads(1);
  const nlohmann::json networks = ReadJson("networks.json");
  ASSERT_FALSE(networks["forward"].empty());
  for (const nlohmann::json& item : networks["forward"]) {
    const std::string checkpoint = item["checkpoint"];
    SCOPED_TRACE(checkpoint);
    const TemporaryFolder folder;
    BuildCheckpoint(checkpoint, folder.path());
    const CheckpointConfigs configs = ReadCheckpointConfigs(folder.path());
    const SafetensorsFile file(GoldenPath(item["file"].get<std::string>()));
    const at::Tensor expected = ReadTensor(file, "text");
    const auto tokenizer = Tokenizer::Load(folder.path() + "/tokenizer", configs.tokenizer);
    const TextEncoder encoder(configs.text_encoder,
                              WeightFiles(ComponentOf(folder.path(), "text_encoder")), at::kCPU,
                              at::kFloat);
    const at::Tensor embedded =
        encoder.Encode(tokenizer->Encode(item["prompt"], static_cast<int>(expected.size(1))));
    ASSERT_EQ(embedded.sizes(), expected.sizes());
    EXPECT_LE((embedded - expected).abs().max().item<double>(), 1e-5);
  }
}

// Half precision keeps wo and the residual in fp32: their values here are beyond fp16's 65504.
TEST(TextEncoderTest, Fp16SurvivesLargeFeedForwards) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  BuildCheckpoint("t2v-rope", folder.path());
  const TextEncoderConfig config = ReadCheckpointConfigs(folder.path()).text_encoder;
  ScaleWeights(folder.path() + "/text_encoder/model.safetensors", "DenseReluDense.wo", 1e6);
  const WeightFiles weights(ComponentOf(folder.path(), "text_encoder"));
  const std::vector<int64_t> ids = {5, 40, 17, 99, 3, 1, 0, 0};
  const at::Tensor expected = TextEncoder(config, weights, at::kCPU, at::kFloat).Encode(ids);
  const at::Tensor half = TextEncoder(config, weights, at::kCPU, at::kHalf).Encode(ids);
  EXPECT_EQ(half.scalar_type(), at::kHalf);
  // Values of size 1 to 4 that went through some ten roundings of 2^-11 a layer.
  EXPECT_LE((half.to(at::kFloat) - expected).abs().max().item<double>(), 0.05);
}

TEST(TextEncoderTest, AnIdOutsideOfTheVocabularyIsRefused) {
  const TemporaryFolder folder;
  BuildCheckpoint("t2v-rope", folder.path());
  const TextEncoderConfig config = ReadCheckpointConfigs(folder.path()).text_encoder;
  const TextEncoder encoder(config, WeightFiles(ComponentOf(folder.path(), "text_encoder")),
                            at::kCPU, at::kFloat);
  EXPECT_THROW(encoder.Encode({config.vocab_size}), std::invalid_argument);
}

}  // namespace
}  // namespace cogwheel
