#include "worker/families/cogvideox/prompt_encoder.h"

#include "worker/families/cogvideox/tokenizer.h"

namespace cogwheel {

T5PromptEncoder::T5PromptEncoder(const std::string& model_dir, const CheckpointConfigs& configs,
                                 const WeightSource& weights, at::Device device,
                                 at::ScalarType dtype)
    : tokenizer_(Tokenizer::Load(model_dir + "/tokenizer", configs.tokenizer)),
      encoder_(configs.text_encoder, weights, device, dtype) {}

T5PromptEncoder::~T5PromptEncoder() = default;

at::Tensor T5PromptEncoder::Encode(const std::string& prompt, int64_t max_tokens) const {
  return encoder_.Encode(tokenizer_->Encode(prompt, static_cast<int>(max_tokens)),
                         [this] { UnitBegins("text layer"); });
}

}  // namespace cogwheel
