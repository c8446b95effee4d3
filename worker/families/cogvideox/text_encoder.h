#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {

// T5EncoderModel of transformers (v1.1: gated GELU, no biases, relative position buckets), run
// without a mask: padding is attended to, as in the reference pipeline. In fp16 the last linear of
// each feed-forward and the residual stream are fp32. Owned by the rank thread.
class TextEncoder {
 public:
  TextEncoder(const TextEncoderConfig& config, const WeightSource& weights, at::Device device,
              at::ScalarType dtype);

  // Throws std::invalid_argument for an id outside of the vocabulary.
  void Check(const std::vector<int64_t>& ids) const;
  // → [1, T, d_model] in the dtype of loading. Throws as Check. layer_begins: called before each
  // layer.
  at::Tensor Encode(
      const std::vector<int64_t>& ids, const std::function<void()>& layer_begins = [] {}) const;

 private:
  struct Layer {
    at::Tensor attention_norm, q, k, v, o;
    at::Tensor ff_norm, gate, linear, wo;
  };

  double eps() const { return config_.layer_norm_epsilon; }
  at::Tensor PositionBias(int64_t length) const;
  at::Tensor HeadsOf(const at::Tensor& x, const at::Tensor& weight) const;
  at::Tensor Attend(const Layer& layer, const at::Tensor& x, const at::Tensor& bias) const;
  at::Tensor FeedForward(const Layer& layer, const at::Tensor& x) const;

  const TextEncoderConfig config_;
  at::Tensor embedding_, bias_table_, final_norm_;
  std::vector<Layer> layers_;
};

// Bucket of a key at `distance` = key - query positions from the query, bidirectional.
int64_t RelativePositionBucket(int64_t distance, int64_t bucket_count, int64_t max_distance);

}  // namespace cogwheel
