#include "worker/families/cogvideox/text_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

// T5LayerNorm: mean square and product in fp32, rounded to the weight's dtype before the multiply.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor mean_square = wide.pow(2).mean(-1, /*keepdim=*/true);
  return weight * (wide * at::rsqrt(mean_square + eps)).to(weight.scalar_type());
}

// NewGELUActivation, every operation rounded on its own.
at::Tensor NewGelu(const at::Tensor& x) {
  const double root = std::sqrt(2.0 / std::numbers::pi);
  return 0.5 * x * (1.0 + at::tanh(root * (x + 0.044715 * at::pow(x, 3.0))));
}

// The reference's guard against fp16 overflow of the residual stream.
at::Tensor ClampHalf(const at::Tensor& x) {
  if (x.scalar_type() != at::kHalf) return x;
  const double largest = std::numeric_limits<c10::Half>::max();
  const double limit = at::isinf(x).any().item<bool>() ? largest - 1000 : largest;
  return at::clamp(x, -limit, limit);
}

}  // namespace

TextEncoder::TextEncoder(const TextEncoderConfig& config, const WeightSource& weights,
                         at::Device device, at::ScalarType dtype)
    : config_(config) {
  const auto load = [&](const std::string& name, at::IntArrayRef shape) {
    return weights.Load(name, shape, device, dtype);
  };
  const int64_t width = config.d_model, inner = config.num_heads * config.d_kv;
  const char* table =
      weights.Has("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
  embedding_ = load(table, {config.vocab_size, width});
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const std::string block = "encoder.block." + std::to_string(i) + ".layer.";
    const std::string attention = block + "0.SelfAttention.";
    const std::string ff = block + "1.DenseReluDense.";
    layers_.push_back({.attention_norm = load(block + "0.layer_norm.weight", {width}),
                       .q = load(attention + "q.weight", {inner, width}),
                       .k = load(attention + "k.weight", {inner, width}),
                       .v = load(attention + "v.weight", {inner, width}),
                       .o = load(attention + "o.weight", {width, inner}),
                       .ff_norm = load(block + "1.layer_norm.weight", {width}),
                       .gate = load(ff + "wi_0.weight", {config.d_ff, width}),
                       .linear = load(ff + "wi_1.weight", {config.d_ff, width}),
                       .wo = weights.Load(ff + "wo.weight", {width, config.d_ff}, device,
                                          dtype == at::kHalf ? at::kFloat : dtype)});
  }
  bias_table_ = load("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                     {config.relative_attention_num_buckets, config.num_heads});
  final_norm_ = load("encoder.final_layer_norm.weight", {width});
}

void TextEncoder::Check(const std::vector<int64_t>& ids) const {
  for (const int64_t id : ids) {
    if (id < 0 || id >= config_.vocab_size) {
      throw std::invalid_argument("token id " + std::to_string(id) +
                                  " is outside of the text encoder's vocabulary of " +
                                  std::to_string(config_.vocab_size));
    }
  }
}

at::Tensor TextEncoder::Encode(const std::vector<int64_t>& ids,
                               const std::function<void()>& layer_begins) const {
  Check(ids);
  const at::Tensor tokens =
      at::tensor(ids, at::TensorOptions(at::kLong)).to(embedding_.device()).unsqueeze(0);
  const at::Tensor bias = PositionBias(static_cast<int64_t>(ids.size()));
  at::Tensor x = at::embedding(embedding_, tokens);  // [1, T, d_model]
  for (const Layer& layer : layers_) {
    layer_begins();
    x = ClampHalf(x + Attend(layer, RmsNorm(x, layer.attention_norm, eps()), bias));
    x = ClampHalf(x + FeedForward(layer, RmsNorm(x, layer.ff_norm, eps())));
  }
  return RmsNorm(x, final_norm_, eps());
}

// [1, heads, T, T], added to the scores of every layer.
at::Tensor TextEncoder::PositionBias(int64_t length) const {
  std::vector<int64_t> buckets;
  for (int64_t query = 0; query < length; ++query) {
    for (int64_t key = 0; key < length; ++key) {
      buckets.push_back(RelativePositionBucket(key - query, config_.relative_attention_num_buckets,
                                               config_.relative_attention_max_distance));
    }
  }
  const at::Tensor indices =
      at::tensor(buckets, at::TensorOptions(at::kLong)).to(embedding_.device());
  return at::embedding(bias_table_, indices.view({length, length})).permute({2, 0, 1}).unsqueeze(0);
}

at::Tensor TextEncoder::HeadsOf(const at::Tensor& x, const at::Tensor& weight) const {
  return at::linear(x, weight)
      .view({x.size(0), x.size(1), config_.num_heads, config_.d_kv})
      .transpose(1, 2);  // [1, heads, T, d_kv]
}

// Scores are not divided by sqrt(d_kv): T5 folds that into its initialisation.
at::Tensor TextEncoder::Attend(const Layer& layer, const at::Tensor& x,
                               const at::Tensor& bias) const {
  const at::Tensor scores =
      at::matmul(HeadsOf(x, layer.q), HeadsOf(x, layer.k).transpose(2, 3)) + bias;
  const at::Tensor weights = at::softmax(scores.to(at::kFloat), -1).to(scores.scalar_type());
  const at::Tensor mixed = at::matmul(weights, HeadsOf(x, layer.v)).transpose(1, 2).flatten(2);
  return at::linear(mixed, layer.o);
}

at::Tensor TextEncoder::FeedForward(const Layer& layer, const at::Tensor& x) const {
  const at::Tensor gated = NewGelu(at::linear(x, layer.gate)) * at::linear(x, layer.linear);
  return at::linear(gated.to(layer.wo.scalar_type()), layer.wo);
}

int64_t RelativePositionBucket(int64_t distance, int64_t bucket_count, int64_t max_distance) {
  const int64_t half = bucket_count / 2;
  const int64_t base = distance > 0 ? half : 0;
  const int64_t exact = half / 2;
  const int64_t steps = std::abs(distance);
  if (steps < exact) return base + steps;
  // In fp32 like the reference: the bucket borders depend on it.
  const float ratio =
      std::log(static_cast<float>(steps) / static_cast<float>(exact)) /
      static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact)));
  const int64_t far = exact + static_cast<int64_t>(ratio * static_cast<float>(half - exact));
  return base + std::min(far, half - 1);
}

}  // namespace cogwheel
