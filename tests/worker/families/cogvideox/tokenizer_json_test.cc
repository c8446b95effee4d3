// tokenizer.json in place of spiece.model: ids against transformers, what is refused.
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "worker/families/cogvideox/character_map.h"
#include "worker/families/cogvideox/tokenizer.h"
#include "worker/families/cogvideox/tokenizer_json.h"
#include "worker/families/cogvideox/unigram_search.h"

namespace cogwheel {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int kLength = 600;  // more than any text here has

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The bytes of each field of that number, not being a varint, in a protobuf message.
std::vector<std::string> Fields(std::string_view message, uint64_t wanted) {
  const auto varint = [&message] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(message.front());
      message.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  std::vector<std::string> fields;
  while (!message.empty()) {
    const uint64_t tag = varint(), kind = tag & 7;
    const uint64_t bytes = kind == 0 ? (varint(), 0) : kind == 2 ? varint() : kind == 5 ? 4 : 8;
    if (tag >> 3 == wanted) fields.emplace_back(message.substr(0, bytes));
    message.remove_prefix(bytes);
  }
  return fields;
}

// normalizer_spec's precompiled_charsmap.
std::string CharacterMapOf(const std::string& spiece_model) {
  return Fields(Fields(spiece_model, 3).at(0), 2).at(0);
}

std::string GoldenCharacterMap() { return CharacterMapOf(ReadFile(GoldenPath("spiece.model"))); }

// The vocabulary of tokenizer.json: pairs of piece and score.
json VocabularyOf(const std::string& spiece_model) {
  json vocabulary;
  for (const std::string& piece : Fields(spiece_model, 1)) {
    float score = 0;
    std::memcpy(&score, Fields(piece, 2).at(0).data(), sizeof(score));
    vocabulary.push_back({Fields(piece, 1).at(0), score});
  }
  return vocabulary;
}

class TokenizerJsonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(GoldenPath("many_scripts.json"));
    golden_ = json::parse(file);
    tokenizer_ = golden_["tokenizer"];
    tokenizer_["normalizer"]["precompiled_charsmap"] = absl::Base64Escape(GoldenCharacterMap());
    config_.extra_ids = golden_["extra_ids"];
  }

  std::unique_ptr<Tokenizer> Load() const {
    std::ofstream(folder_.path() + "/tokenizer.json") << tokenizer_.dump();
    return Tokenizer::Load(folder_.path(), config_);
  }

  // `ids` end with </s>.
  void ExpectIds(const json& texts, const json& ids) const {
    const auto tokenizer = Load();
    ASSERT_EQ(texts.size(), ids.size());
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<int64_t> expected = ids[i];
      expected.resize(kLength, 0);
      EXPECT_EQ(tokenizer->Encode(texts[i], kLength), expected) << texts[i];
    }
  }

  json golden_, tokenizer_;
  TokenizerConfig config_;
  const TemporaryFolder folder_;
};

TEST_F(TokenizerJsonTest, IdsEqualTransformersInManyScripts) {
  ASSERT_GT(golden_["strings"].size(), 200);
  ExpectIds(golden_["strings"], golden_["ids"]);
}

// What transformers 4.57 writes for the same model; its other two steps of the normaliser and the
// pre-tokeniser without WhitespaceSplit do the same.
TEST_F(TokenizerJsonTest, TheFormOfTransformers4IsRead) {
  const json strip = {{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}};
  const json replace = {
      {"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", "\u2581"}};
  tokenizer_["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", json::array({tokenizer_["normalizer"], strip, replace})}};
  tokenizer_["pre_tokenizer"] = json(tokenizer_["pre_tokenizer"]["pretokenizers"][1]);
  ExpectIds(golden_["strings"], golden_["ids"]);
}

// The tokenizers library takes the character map grapheme by grapheme, SentencePiece by its longest
// key anywhere. The ids are SentencePiece's there.
TEST_F(TokenizerJsonTest, KindsOfTextThatDifferFromTransformers) {
  const auto tokenizer = Load();
  ASSERT_GE(golden_["different"].size(), 10);
  for (const json& item : golden_["different"]) {
    std::vector<int64_t> expected = item["sentencepiece"];
    expected.resize(kLength, 0);
    EXPECT_NE(item["sentencepiece"], item["transformers"]);
    EXPECT_EQ(tokenizer->Encode(item["text"], kLength), expected) << item["kind"];
  }
}

// Sentinels that are pieces keep their ids, others follow the vocabulary in their order.
TEST_F(TokenizerJsonTest, SentinelsAreThereWithoutAConfiguration) {
  config_ = {};
  ExpectIds(golden_["special"]["texts"], golden_["special"]["defaults"]);
}

TEST_F(TokenizerJsonTest, AddedTokensAreRecognised) {
  config_ = {};
  tokenizer_["added_tokens"] = golden_["special"]["added_tokens"];
  ExpectIds(golden_["special"]["texts"], golden_["special"]["added"]);
}

// The shipped model without its spiece.model gives the same videos.
TEST_F(TokenizerJsonTest, TheShippedModelReadsEitherWay) {
  const std::string folder = std::string(COGWHEEL_SOURCE_DIR) + "/models/shapes/tokenizer";
  const std::string model = ReadFile(folder + "/spiece.model");
  tokenizer_["model"]["vocab"] = VocabularyOf(model);
  tokenizer_["normalizer"]["precompiled_charsmap"] = absl::Base64Escape(CharacterMapOf(model));
  tokenizer_["added_tokens"] = json::array();
  config_.extra_ids = 0;
  const auto json_tokenizer = Load(), spiece_tokenizer = Tokenizer::Load(folder, config_);
  for (const json& text : golden_["strings"]) {
    EXPECT_EQ(json_tokenizer->Encode(text, kLength), spiece_tokenizer->Encode(text, kLength))
        << text;
  }
}

// White space of all kinds splits words there too, and a "▁" of the text starts one.
TEST_F(TokenizerJsonTest, IdsEqualTransformersWithoutANormaliser) {
  tokenizer_["normalizer"] = nullptr;
  ExpectIds(golden_["without_map"]["texts"], golden_["without_map"]["ids"]);
}

TEST_F(TokenizerJsonTest, NeitherFileNamesBoth) {
  EXPECT_THAT([&] { Tokenizer::Load(folder_.path(), {}); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr(folder_.path() + "/spiece.model"), HasSubstr("tokenizer.json"))));
}

// One change of a good file; the message names the file, the key, the value and what is taken.
TEST_F(TokenizerJsonTest, WhatIsNotT5IsRefused) {
  const json bpe_byte = {{"type", "ByteLevel"}};
  struct Change {
    const char* path;
    json value;
    std::vector<const char*> words;
  };
  const json token = {{"id", 0}, {"content", "<pad>"}};
  const std::vector<Change> changes = {
      {"/model/type", "BPE", {"model.type", "\"BPE\"", "\"Unigram\""}},
      {"/model/byte_fallback", true, {"model.byte_fallback", "true", "false"}},
      {"/model/unk_id", 0, {"model.unk_id", "0", "2"}},
      {"/model/vocab", json::object(), {"model.vocab", "{}", "4 to"}},
      {"/model/vocab/0/0", "<s>", {"model.vocab.0", "<s>", "<pad>"}},
      {"/model/vocab/7/0", "", {"model.vocab.7", "1 to 1024 bytes"}},
      {"/model/vocab/7/0", std::string("a\0b", 3), {"model.vocab.7", "1 to 1024 bytes"}},
      {"/model/vocab/7/0", std::string(1025, 'a'), {"model.vocab.7", "1 to 1024 bytes"}},
      {"/model/vocab/7/0", "<unk>", {"model.vocab.7", "<unk>", "once"}},
      {"/model/vocab/7/1", nullptr, {"model.vocab.7", "null", "score"}},
      {"/model/vocab/7/1", 1e300, {"model.vocab.7", "1e+300", "score"}},
      {"/normalizer", {{"type", "NFKC"}}, {"normalizer", "NFKC", "Precompiled"}},
      {"/normalizer/precompiled_charsmap", "%", {"normalizer.precompiled_charsmap", "%", "base64"}},
      {"/normalizer/precompiled_charsmap", "AAAAAAAA", {"normalizer.precompiled_charsmap", "map"}},
      {"/pre_tokenizer", nullptr, {"pre_tokenizer", "null", "Metaspace"}},
      {"/pre_tokenizer/pretokenizers/0", bpe_byte, {"pre_tokenizer", "ByteLevel", "Metaspace"}},
      {"/pre_tokenizer/pretokenizers/1/replacement", "_", {"replacement", "\"_\""}},
      {"/pre_tokenizer/pretokenizers/1/prepend_scheme", "never", {"prepend_scheme", "never"}},
      {"/pre_tokenizer/pretokenizers/1/split", false, {"pre_tokenizer.split", "false", "true"}},
      {"/post_processor/single/1", json::object(), {"post_processor", "$A and </s>"}},
      {"/padding", {{"direction", "Left"}}, {"padding.direction", "Left", "Right"}},
      {"/truncation", {{"direction", "Left"}}, {"truncation.direction", "Left", "Right"}},
      {"/added_tokens/0/single_word", true, {"added_tokens.single_word", "true", "false"}},
      {"/added_tokens/0/id", 7, {"added_tokens", "7", "id 0"}},
      {"/added_tokens/0/id", -1, {"added_tokens.id", "-1"}},
      {"/added_tokens/0/content", "<q>", {"added_tokens", "<q>", "id 1510"}},
      {"/added_tokens", {token, token}, {"added_tokens", "<pad>", "id of its own"}},
  };
  ASSERT_NO_THROW(ParseTokenizerJson(tokenizer_.dump(), "F"));
  for (const Change& change : changes) {
    json changed = tokenizer_;
    changed[json::json_pointer(change.path)] = change.value;
    try {
      ParseTokenizerJson(changed.dump(), "F");
      ADD_FAILURE() << change.path << " is taken";
    } catch (const std::invalid_argument& error) {
      const std::string message = error.what();
      EXPECT_THAT(message, ::testing::StartsWith("F: "));
      EXPECT_LT(message.size(), 300);
      for (const char* word : change.words) EXPECT_THAT(message, HasSubstr(word)) << change.path;
    }
  }
}

TEST_F(TokenizerJsonTest, TextThatIsNotJsonIsRefused) {
  for (const char* text : {"", "[]", "{\"model\": {\"vocab\": [[\"\xff\", 0]]}}",
                           "{\"model\": {\"vocab\": [[\"a\", 1e999]]}}"}) {
    EXPECT_THROW(ParseTokenizerJson(text, "F"), std::invalid_argument) << text;
  }
}

// As the tokenizers library says: sums that fp32 cannot tell apart (1e-9 of 3), equal sums (the one
// whose last piece starts first), and what is no piece: the smallest score less 10, one id for
// neighbours.
TEST(UnigramSearchTest, TakesTheLargestSum) {
  const auto cut = [](std::vector<UnigramModel::Piece> pieces, std::string_view word) {
    std::vector<int64_t> ids;
    UnigramSearch(pieces, 0).AppendIds(word, ids);
    return ids;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(cut({{"<unk>", 0}, {"a", -1}, {"b", -2}, {"ab", -3 - 1e-9}}, "ab"),
              ElementsAre(1, 2));
  EXPECT_THAT(cut({{"<unk>", 0}, {"a", -1}, {"b", -2}, {"ab", -3 + 1e-9}}, "ab"), ElementsAre(3));
  EXPECT_THAT(cut({{"<unk>", 0}, {"a", -1}, {"b", -2}, {"ab", -3}}, "ab"), ElementsAre(3));
  EXPECT_THAT(cut({{"<unk>", 0}, {"a", -1}, {"aa", -1.5}}, "aaa"), ElementsAre(1, 2));
  EXPECT_THAT(cut({{"<unk>", 0}, {"a", -1}}, "a\u00e4\u4e00a\u00e4"), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(cut({{"<unk>", 0}, {"\u00e4", 7}, {"a\u00e4", -5}}, "a\u00e4"), ElementsAre(2));
  EXPECT_THAT(cut({{"<unk>", 0}, {"\u00e4", 12}, {"a\u00e4", -5}}, "a\u00e4"), ElementsAre(0, 1));
  EXPECT_THAT(cut({{"<unk>", 0}}, ""), ElementsAre());
}

std::string Word(uint32_t value) {
  return {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16),
          static_cast<char>(value >> 24)};
}

// A trie of two blocks by hand: "a" is replaced by what lies at `value`. Unit 0, the root, leads to
// the block 0..255. Its unit 'a' has that label, a leaf, and leads on to 'a' ^ offset, the second
// block, whose first unit is the leaf. All others have no byte as their label.
std::string OneKeyMap(uint32_t value, const std::string& replacements, uint32_t units = 512,
                      uint32_t offset = 'a' ^ 256) {
  std::string trie;
  for (uint32_t i = 0; i < units; ++i) {
    trie += Word(i == 'a'   ? offset << 10 | 1U << 8 | 'a'
                 : i == 256 ? 1U << 31 | value
                 : i == 0   ? 0
                            : 1U << 31);
  }
  return Word(4 * units) + trie + replacements;
}

TEST(CharacterMapTest, OnlyWhatStaysInsideIsTaken) {
  const std::string golden = GoldenCharacterMap();
  EXPECT_TRUE(IsCharacterMap(golden));
  EXPECT_FALSE(IsCharacterMap(golden.substr(0, golden.size() - 1))) << "no end";
  EXPECT_FALSE(IsCharacterMap(golden.substr(0, golden.size() / 2)));
  EXPECT_FALSE(IsCharacterMap(""));
  const std::string texts("b\0\xc3\xa4\0", 5);
  EXPECT_TRUE(IsCharacterMap(OneKeyMap(0, texts)));
  EXPECT_TRUE(IsCharacterMap(OneKeyMap(2, texts)));
  EXPECT_FALSE(IsCharacterMap(OneKeyMap(3, texts))) << "within a character";
  EXPECT_FALSE(IsCharacterMap(OneKeyMap(5, texts))) << "behind the replacements";
  EXPECT_FALSE(IsCharacterMap(OneKeyMap(0x7fffffff, texts)));
  EXPECT_FALSE(IsCharacterMap(OneKeyMap(0, "b"))) << "no end";
  EXPECT_FALSE(IsCharacterMap(OneKeyMap(0, std::string(300, 'b') + '\0'))) << "too long";
  EXPECT_FALSE(IsCharacterMap(OneKeyMap(0, texts, /*units=*/300))) << "a block cut off";
  EXPECT_FALSE(IsCharacterMap(OneKeyMap(0, texts, 512, /*offset=*/1 << 20))) << "a node outside";
}

}  // namespace
}  // namespace cogwheel
