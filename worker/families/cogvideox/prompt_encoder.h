#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "proto/contract/vocabulary.h"
#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/text_encoder.h"
#include "worker/families/model.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {

class Tokenizer;

// Tokenizer and T5 together (reference: pipeline_cogvideox.py, _get_t5_prompt_embeds). Owned by the
// rank thread.
class T5PromptEncoder final : public PromptEncoder {
 public:
  // Throws std::invalid_argument for a damaged tokenizer or weights.
  T5PromptEncoder(const std::string& model_dir, const CheckpointConfigs& configs,
                  const WeightSource& weights, at::Device device, at::ScalarType dtype);
  ~T5PromptEncoder() override;

  void Check(const std::string& prompt, int64_t max_tokens) const override;
  // An empty prompt is EOS and padding.
  at::Tensor Encode(const std::string& prompt, int64_t max_tokens) const override;
  // Not of words that the model's vocabulary lacks: the frontend has named them by then.
  std::vector<std::string> Warnings(const std::string& prompt, int64_t max_tokens) const override;

 private:
  const std::unique_ptr<Tokenizer> tokenizer_;
  const TextEncoder encoder_;
  const Vocabulary vocabulary_;
};

}  // namespace cogwheel
