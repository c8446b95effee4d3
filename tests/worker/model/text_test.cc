// Tokenizer ids against the Python tokenizer, the text encoder against the reference.
#include <cmath>
#include <fstream>
#include <string>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "worker/model/text_encoder.h"
#include "worker/model/tokenizer.h"
#include "worker/model/weights.h"

namespace cogwheel {
namespace {

nlohmann::json ReadJson(const std::string& name) {
  std::ifstream stream(GoldenPath(name));
  return nlohmann::json::parse(stream);
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
    const auto encoder = TextEncoder::Load(
        configs.text_encoder, Weights(folder.path() + "/text_encoder"), at::kCPU, at::kFloat);
    const at::Tensor embedded =
        encoder->Encode(tokenizer->Encode(item["prompt"], static_cast<int>(expected.size(1))));
    ASSERT_EQ(embedded.sizes(), expected.sizes());
    EXPECT_LE((embedded - expected).abs().max().item<double>(), 1e-5);
  }
}

TEST(TextEncoderTest, AnIdOutsideOfTheVocabularyIsRefused) {
  const TemporaryFolder folder;
  BuildCheckpoint("t2v-rope", folder.path());
  const TextEncoderConfig config = ReadCheckpointConfigs(folder.path()).text_encoder;
  const auto encoder =
      TextEncoder::Load(config, Weights(folder.path() + "/text_encoder"), at::kCPU, at::kFloat);
  EXPECT_THROW(encoder->Encode({config.vocab_size}), std::invalid_argument);
}

}  // namespace
}  // namespace cogwheel
