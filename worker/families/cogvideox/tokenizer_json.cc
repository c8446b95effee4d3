#include "worker/families/cogvideox/tokenizer_json.h"

#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <nlohmann/json.hpp>

#include "worker/families/cogvideox/character_map.h"
#include "worker/families/cogvideox/config_fields.h"
#include "worker/weights/json_fields.h"

namespace cogwheel {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxPieces = 1 << 20;
constexpr size_t kMaxPieceBytes = 1024;
constexpr double kLargestScore = 1e6;
constexpr int64_t kMaxAddedId = 1 << 22;
constexpr size_t kMaxAddedTokens = 10'000;
constexpr std::array kFirstPieces = {"<pad>", "</s>", "<unk>"};
constexpr size_t kUnknownId = 2;

bool HasType(const Json& value, const char* type) {
  return value.is_object() && value.contains("type") && value["type"] == type;
}

// The steps under a key: one object, a Sequence whose `list` has them, or null.
std::vector<Json> Steps(const JsonFields& json, const char* key, const char* list) {
  const Json& value = json.At(key);
  if (value.is_null()) return {};
  if (!HasType(value, "Sequence")) return {value};
  if (!value.contains(list) || !value[list].is_array()) json.Refuse(key, value, "a list of steps");
  return value[list].get<std::vector<Json>>();
}

std::string ReadCharacterMap(const JsonFields& json, const Json& precompiled) {
  const JsonFields fields(precompiled, json.file(), "normalizer.");
  const char* const key = "precompiled_charsmap";
  std::string base64, map;
  fields.Read(key, base64);
  if (base64.empty()) return {};
  if (!absl::Base64Unescape(base64, &map) || !IsCharacterMap(map)) {
    fields.Refuse(key, base64, "SentencePiece's character map in base64");
  }
  return map;
}

// transformers 5 writes a Precompiled step, transformers 4 two more behind it, whose work is that
// of the splitting at white space: no space at the end, no two in a row.
std::string ReadNormalizer(const JsonFields& json) {
  const Json strip = {{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}};
  const Json replace = {
      {"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", "\u2581"}};
  std::string character_map;
  bool first = true;
  for (const Json& step : Steps(json, "normalizer", "normalizers")) {
    if (first && HasType(step, "Precompiled")) {
      character_map = ReadCharacterMap(json, step);
    } else if (step != strip && step != replace) {
      json.Refuse("normalizer", step,
                  "T5's: Precompiled first, then right Strip and Replace of spaces");
    }
    first = false;
  }
  return character_map;
}

// transformers 4 leaves the splitting to Metaspace. Its prepend_scheme "first" only matters behind
// a special token; transformers 5 reads it as "always".
void CheckPreTokenizer(const JsonFields& json) {
  const std::vector<Json> steps = Steps(json, "pre_tokenizer", "pretokenizers");
  if (steps.empty() || steps.size() > 2 || !HasType(steps.back(), "Metaspace") ||
      (steps.size() == 2 && !HasType(steps.front(), "WhitespaceSplit"))) {
    json.Refuse("pre_tokenizer", json.At("pre_tokenizer"), "T5's: WhitespaceSplit, Metaspace");
  }
  const JsonFields metaspace(steps.back(), json.file(), "pre_tokenizer.");
  RequireOnly(metaspace, "replacement", "\u2581");
  RequireOnly(metaspace, "add_prefix_space", true);
  RequireOnly(metaspace, "split", true);
  const Json& scheme = metaspace.At("prepend_scheme");
  Require(scheme.is_null() || scheme == "always" || scheme == "first", metaspace, "prepend_scheme",
          "\"always\"");
}

// What is put around the ids: </s> behind them, padding and cuts on the right.
void CheckEnds(const JsonFields& json) {
  const Json& post = json.At("post_processor");
  if (!post.is_null()) {
    const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    const Json end = {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}};
    if (!HasType(post, "TemplateProcessing") || !post.contains("single") ||
        post["single"] != Json::array({text, end})) {
      json.Refuse("post_processor", post, "T5's: TemplateProcessing of $A and </s>");
    }
  }
  RequireOnly(json.Object("truncation"), "direction", "Right");
  const JsonFields padding = json.Object("padding");
  RequireOnly(padding, "direction", "Right");
  RequireOnly(padding, "pad_id", 0);
  RequireOnly(padding, "pad_to_multiple_of", nullptr);
}

UnigramModel::Piece ReadPiece(const JsonFields& model, const std::string& key, const Json& item) {
  const bool pair = item.is_array() && item.size() == 2 && item[0].is_string() &&
                    item[1].is_number() && std::abs(item[1].get<double>()) <= kLargestScore;
  if (!pair) model.Refuse(key, item, "a piece and its score");
  auto text = item[0].get<std::string>();
  if (text.empty() || text.size() > kMaxPieceBytes || text.find('\0') != std::string::npos) {
    model.Refuse(key, item, "a piece of 1 to 1024 bytes, none of them zero");
  }
  return {.text = std::move(text), .score = item[1].get<double>()};
}

std::vector<UnigramModel::Piece> ReadVocabulary(const JsonFields& model) {
  const Json& vocabulary = model.At("vocab");
  if (!vocabulary.is_array() || vocabulary.size() <= kFirstPieces.size() ||
      vocabulary.size() > kMaxPieces) {
    model.Refuse("vocab", vocabulary, "a list of 4 to 1048576 pieces");
  }
  std::vector<UnigramModel::Piece> pieces;
  pieces.reserve(vocabulary.size());
  for (const Json& item : vocabulary) {
    const size_t id = pieces.size();
    pieces.push_back(ReadPiece(model, "vocab." + std::to_string(id), item));
    if (id < kFirstPieces.size() && pieces.back().text != kFirstPieces[id]) {
      model.Refuse("vocab." + std::to_string(id), item, kFirstPieces[id]);
    }
  }
  return pieces;
}

UnigramModel ReadModel(const JsonFields& json) {
  const JsonFields model = json.Object("model");
  RequireOnly(model, "type", "Unigram");
  RequireOnly(model, "unk_id", kUnknownId);
  RequireOnly(model, "byte_fallback", false);
  return {.pieces = ReadVocabulary(model),
          .unknown_id = kUnknownId,
          .character_map = ReadNormalizer(json)};
}

std::map<int64_t, std::string> ReadAddedTokens(const JsonFields& json) {
  std::map<int64_t, std::string> tokens;
  const Json& list = json.At("added_tokens");
  if (!list.is_null() && (!list.is_array() || list.size() > kMaxAddedTokens)) {
    json.Refuse("added_tokens", list, "a list of at most 10000 tokens");
  }
  for (const Json& item : list) {
    if (!item.is_object()) json.Refuse("added_tokens", item, "a token id with its content");
    const JsonFields token(item, json.file(), "added_tokens.");
    int64_t id = -1;
    std::string text;
    token.Read("id", id, {0, kMaxAddedId});
    token.Read("content", text);
    RequireOnly(token, "single_word", false);
    if (id < 0 || text.empty() || text.size() > kMaxPieceBytes ||
        !tokens.emplace(id, text).second) {
      json.Refuse("added_tokens", item, "an id of its own and a content of 1 to 1024 bytes");
    }
  }
  return tokens;
}

// The tokenizers library numbers added tokens itself: by the vocabulary, others from its end on.
void CheckIds(const JsonFields& json, const TokenizerJson& tokenizer) {
  std::unordered_map<std::string, int64_t> ids;
  for (const UnigramModel::Piece& piece : tokenizer.model.pieces) {
    if (!ids.emplace(piece.text, static_cast<int64_t>(ids.size())).second) {
      json.Refuse("model.vocab." + std::to_string(ids.size()), piece.text, "each piece once");
    }
  }
  for (const auto& [id, text] : tokenizer.added_tokens) {
    const auto [known, added] = ids.emplace(text, static_cast<int64_t>(ids.size()));
    if (known->second != id) {
      json.Refuse("added_tokens", Json{{"id", id}, {"content", text}},
                  "id " + std::to_string(known->second));
    }
  }
}

}  // namespace

TokenizerJson ParseTokenizerJson(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  TokenizerJson tokenizer = {.model = ReadModel(json), .added_tokens = ReadAddedTokens(json)};
  CheckPreTokenizer(json);
  CheckEnds(json);
  CheckIds(json, tokenizer);
  return tokenizer;
}

}  // namespace cogwheel
