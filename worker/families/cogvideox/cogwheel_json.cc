#include <optional>
#include <string>
#include <vector>

#include "proto/contract/vocabulary.h"
#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/config_fields.h"

namespace cogwheel {
namespace {

std::optional<CogwheelJson::Preview> ReadPreview(const JsonFields& json) {
  if (json.At("preview").is_null()) return std::nullopt;
  const JsonFields fields = json.Object("preview");
  const nlohmann::json& matrix = fields.At("matrix");
  if (!matrix.is_array() || matrix.size() != 3) fields.Refuse("matrix", matrix, "3 rows");
  CogwheelJson::Preview preview;
  for (const nlohmann::json& row : matrix) {
    preview.matrix.push_back(ReadNumbers(fields, "matrix", row, /*count=*/0));
  }
  preview.bias = ReadNumbers(fields, "bias", fields.At("bias"), 3);
  return preview;
}

constexpr size_t kMaxNameBytes = 128;

std::string LineOf(size_t max_bytes) {
  return "1 to " + std::to_string(max_bytes) + " bytes without control characters";
}

// A list of texts; `check` says of one what would be legal instead, or nothing.
template <typename Check>
std::vector<std::string> ReadList(const JsonFields& json, const char* key, size_t most,
                                  const Check& check) {
  std::vector<std::string> texts;
  const nlohmann::json& list = json.At(key);
  if (list.is_null()) return texts;
  if (!list.is_array() || list.size() > most) {
    json.Refuse(key, list, "a list of at most " + std::to_string(most) + " texts");
  }
  for (const nlohmann::json& entry : list) {
    const std::string place = std::string(key) + "[" + std::to_string(texts.size()) + "]";
    if (!entry.is_string()) json.Refuse(place, entry, "a text");
    texts.push_back(entry.get<std::string>());
    const std::string expected = check(texts.back());
    if (!expected.empty()) json.Refuse(place, entry, expected);
  }
  return texts;
}

std::string ExpectedWord(const std::string& word) {
  if (IsVocabularyWord(word)) return "";
  const std::string nearest = NearestVocabularyWord(word);
  return "one word in small letters of at most " + std::to_string(kMaxWordBytes) + " bytes" +
         (nearest.empty() ? "" : "; the nearest is " + nearest);
}

// Fills in the vocabulary first: a prompt that it lacks words of would be no sample.
void ReadTexts(const JsonFields& json, CogwheelJson& config) {
  std::optional<std::string> description;
  json.Read("description", description);
  Require(!description || IsPlainLine(*description, kMaxDescriptionBytes), json, "description",
          LineOf(kMaxDescriptionBytes));
  config.description = description.value_or("");
  config.vocabulary = ReadList(json, "vocabulary", kMaxVocabularyWords, ExpectedWord);
  const Vocabulary vocabulary(config.vocabulary);
  const auto expected_prompt = [&vocabulary](const std::string& prompt) -> std::string {
    if (!IsPlainLine(prompt, kMaxSamplePromptBytes)) return LineOf(kMaxSamplePromptBytes);
    const std::vector<std::string> lacking = vocabulary.Lacks(prompt);
    return lacking.empty() ? "" : "words of its vocabulary, which lacks " + ShortList(lacking);
  };
  config.sample_prompts = ReadList(json, "sample_prompts", kMaxSamplePrompts, expected_prompt);
}

}  // namespace

CogwheelJson ParseCogwheelJson(const std::string& text, const std::string& file) {
  const JsonFields json(text, file);
  CogwheelJson config;
  json.Read("name", config.name);
  Require(!config.name || IsPlainLine(*config.name, kMaxNameBytes), json, "name",
          LineOf(kMaxNameBytes));
  json.Read("variant", config.variant);
  const JsonFields defaults = json.Object("defaults");
  defaults.Read("steps", config.steps, {1, 200});
  defaults.Read("fps", config.fps, {1, 120});
  defaults.Read("frames", config.frames, {1, 4096});
  defaults.Read("height", config.height, {16, 65536});
  defaults.Read("width", config.width, {16, 65536});
  defaults.Read("guidance_scale", config.guidance_scale, 0, 50);
  defaults.Read("scheduler", config.scheduler);
  Require(!config.scheduler || config.scheduler == "ddim" || config.scheduler == "dpm", defaults,
          "scheduler", "\"ddim\" or \"dpm\"");
  const JsonFields limits = json.Object("limits");
  limits.Read("max_frames", config.max_frames, {1, 4096});
  limits.Read("max_steps", config.max_steps, {1, 200});
  limits.Read("max_height", config.max_height, {16, 65536});
  limits.Read("max_width", config.max_width, {16, 65536});
  config.preview = ReadPreview(json);
  ReadTexts(json, config);
  return config;
}

}  // namespace cogwheel
