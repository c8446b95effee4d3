#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/weights/weights.h"

namespace cogwheel {

// T5EncoderModel of transformers (v1.1: gated GELU, no biases, relative position buckets), run
// without a mask: padding is attended to, as in the reference pipeline. In fp16 the last linear of
// each feed-forward and the residual stream are fp32. Owned by the rank thread.
class TextEncoder {
 public:
  static std::unique_ptr<TextEncoder> Load(const TextEncoderConfig& config, const Weights& weights,
                                           at::Device device, at::ScalarType dtype);
  virtual ~TextEncoder() = default;

  // → [1, T, d_model] in the dtype of loading. Throws std::invalid_argument for an id outside of
  // the vocabulary.
  virtual at::Tensor Encode(const std::vector<int64_t>& ids) const = 0;
};

// Bucket of a key at `distance` = key - query positions from the query, bidirectional.
int64_t RelativePositionBucket(int64_t distance, int64_t bucket_count, int64_t max_distance);

}  // namespace cogwheel
