#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/weights/weights.h"

namespace cogwheel {

// Tokenizer and T5 together (reference: pipeline_cogvideox.py, _get_t5_prompt_embeds). World rank 0
// alone has one. Owned by the rank thread.
class PromptEncoder {
 public:
  // Throws std::invalid_argument for a damaged tokenizer or weights.
  static std::unique_ptr<PromptEncoder> Load(const std::string& model_dir,
                                             const CheckpointConfigs& configs,
                                             const Weights& weights, at::Device device,
                                             at::ScalarType dtype);
  virtual ~PromptEncoder() = default;

  // [1, max_tokens, text_embed_dim], model dtype. An empty prompt is EOS and padding.
  virtual at::Tensor Encode(const std::string& prompt, int64_t max_tokens) const = 0;
};

}  // namespace cogwheel
