#include "worker/families/cogvideox/prompt_encoder.h"

#include <algorithm>
#include <string_view>

#include "base/utf8.h"
#include "worker/families/cogvideox/tokenizer.h"

namespace cogwheel {
namespace {

constexpr size_t kShownTextBytes = 60, kShownWordBytes = 30, kShownWords = 8;

// In one line, not ending inside a character.
std::string Quoted(const std::string& text, size_t limit) {
  const std::string_view shown = ClipUtf8(text, limit);
  return "'" + WithoutControls(shown) + (shown.size() < text.size() ? "…'" : "'");
}

}  // namespace

T5PromptEncoder::T5PromptEncoder(const std::string& model_dir, const CheckpointConfigs& configs,
                                 const WeightSource& weights, at::Device device,
                                 at::ScalarType dtype)
    : tokenizer_(Tokenizer::Load(model_dir + "/tokenizer", configs.tokenizer)),
      encoder_(configs.text_encoder, weights, device, dtype),
      vocabulary_(configs.cogwheel.vocabulary) {}

T5PromptEncoder::~T5PromptEncoder() = default;

void T5PromptEncoder::Check(const std::string& prompt, int64_t max_tokens) const {
  encoder_.Check(tokenizer_->Encode(prompt, static_cast<int>(max_tokens)));
}

at::Tensor T5PromptEncoder::Encode(const std::string& prompt, int64_t max_tokens) const {
  return encoder_.Encode(tokenizer_->Encode(prompt, static_cast<int>(max_tokens)),
                         [this] { UnitBegins("text layer"); });
}

std::vector<std::string> T5PromptEncoder::Warnings(const std::string& prompt,
                                                   int64_t max_tokens) const {
  Tokenizer::Reading reading = tokenizer_->Read(prompt, static_cast<int>(max_tokens));
  std::erase_if(reading.unknown,
                [this](const std::string& word) { return !vocabulary_.Lacks(word).empty(); });
  std::vector<std::string> warnings;
  if (reading.cut_tokens > 0) {
    warnings.push_back("the model reads " + std::to_string(max_tokens) + " tokens; " +
                       std::to_string(reading.cut_tokens) +
                       (reading.cut_tokens == 1 ? " was" : " were") + " cut, from " +
                       Quoted(reading.cut_text, kShownTextBytes));
  }
  if (reading.unknown.empty()) return warnings;
  std::string words;
  const size_t shown = std::min(reading.unknown.size(), kShownWords);
  for (size_t i = 0; i < shown; ++i) {
    words += (i == 0 ? "" : ", ") + Quoted(reading.unknown[i], kShownWordBytes);
  }
  const size_t more = reading.unknown.size() - shown;
  if (more > 0) words += " and " + std::to_string(more) + " more";
  warnings.push_back("the model's vocabulary lacks pieces of " + words);
  return warnings;
}

}  // namespace cogwheel
