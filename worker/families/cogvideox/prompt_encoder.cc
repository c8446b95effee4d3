#include "worker/families/cogvideox/prompt_encoder.h"

#include "worker/families/cogvideox/text_encoder.h"
#include "worker/families/cogvideox/tokenizer.h"

namespace cogwheel {
namespace {

class T5PromptEncoder final : public PromptEncoder {
 public:
  T5PromptEncoder(std::unique_ptr<Tokenizer> tokenizer, std::unique_ptr<TextEncoder> encoder)
      : tokenizer_(std::move(tokenizer)), encoder_(std::move(encoder)) {}

  at::Tensor Encode(const std::string& prompt, int64_t max_tokens) const override {
    return encoder_->Encode(tokenizer_->Encode(prompt, static_cast<int>(max_tokens)));
  }

 private:
  const std::unique_ptr<Tokenizer> tokenizer_;
  const std::unique_ptr<TextEncoder> encoder_;
};

}  // namespace

std::unique_ptr<PromptEncoder> PromptEncoder::Load(const std::string& model_dir,
                                                   const CheckpointConfigs& configs,
                                                   const Weights& weights, at::Device device,
                                                   at::ScalarType dtype) {
  return std::make_unique<T5PromptEncoder>(
      Tokenizer::Load(model_dir + "/tokenizer", configs.tokenizer),
      TextEncoder::Load(configs.text_encoder, weights, device, dtype));
}

}  // namespace cogwheel
