#include "worker/families/cogvideox/transformer_weights.h"

#include <string>
#include <unordered_map>

#include <ATen/ATen.h>

#include "worker/families/cogvideox/tensor_table.h"

namespace cogwheel {
namespace {

constexpr double kHeadNormEpsilon = 1e-6;  // norm_q and norm_k; not in the config

// The loaded table, bound to the network's parts by name.
class LoadedTensors {
 public:
  LoadedTensors(const TransformerConfig& config, const WeightSource& weights, at::Device device,
                at::ScalarType dtype) {
    for (const TensorSpec& spec : TransformerTensors(config)) {
      tensors_[spec.name] = weights.Load(spec.name, spec.shape, device, dtype);
    }
  }

  at::Tensor At(const std::string& name) const {
    const auto found = tensors_.find(name);
    TORCH_CHECK(found != tensors_.end(), "the tensor table has no ", name);
    return found->second;
  }
  at::Tensor Take(const std::string& name) {
    const at::Tensor tensor = At(name);
    tensors_.erase(name);
    return tensor;
  }
  LinearWeights LinearAt(const std::string& name) const {
    return {.weight = At(name + ".weight").flatten(1), .bias = At(name + ".bias")};
  }
  // Several as one, their outputs one after the other. Taken out of the table, so that no more than
  // one block's stand twice.
  LinearWeights LinearsAt(const std::vector<std::string>& names) {
    std::vector<at::Tensor> weights, biases;
    for (const std::string& name : names) {
      weights.push_back(Take(name + ".weight"));
      biases.push_back(Take(name + ".bias"));
    }
    return {.weight = at::cat(weights), .bias = at::cat(biases)};
  }
  LayerNormWeights NormAt(const std::string& name, double epsilon) const {
    return {.weight = At(name + ".weight"), .bias = At(name + ".bias"), .epsilon = epsilon};
  }
  ModulatedNormWeights ModulatedNormAt(const std::string& name, double epsilon) const {
    return {.norm = NormAt(name + ".norm", epsilon), .linear = LinearAt(name + ".linear")};
  }

 private:
  std::unordered_map<std::string, at::Tensor> tensors_;
};

BlockWeights BlockAt(LoadedTensors& tensors, const std::string& block, double epsilon) {
  const std::string attn = block + "attn1.";
  return {.norm1 = tensors.ModulatedNormAt(block + "norm1", epsilon),
          .norm2 = tensors.ModulatedNormAt(block + "norm2", epsilon),
          .qkv = {.linear = tensors.LinearsAt({attn + "to_q", attn + "to_k", attn + "to_v"}),
                  .norm_q = tensors.NormAt(attn + "norm_q", kHeadNormEpsilon),
                  .norm_k = tensors.NormAt(attn + "norm_k", kHeadNormEpsilon)},
          .to_out = tensors.LinearAt(attn + "to_out.0"),
          .ff_in = tensors.LinearAt(block + "ff.net.0.proj"),
          .ff_out = tensors.LinearAt(block + "ff.net.2")};
}

}  // namespace

TransformerWeights LoadTransformerWeights(const TransformerConfig& config,
                                          const WeightSource& weights, at::Device device,
                                          at::ScalarType dtype) {
  LoadedTensors tensors(config, weights, device, dtype);
  TransformerWeights w;
  w.patch_proj = tensors.LinearAt("patch_embed.proj");
  w.text_proj = tensors.LinearAt("patch_embed.text_proj");
  if (config.use_learned_positional_embeddings) {
    w.pos_embedding = tensors.At("patch_embed.pos_embedding");
  }
  w.time_1 = tensors.LinearAt("time_embedding.linear_1");
  w.time_2 = tensors.LinearAt("time_embedding.linear_2");
  if (config.ofs_embed_dim) {
    w.ofs_1 = tensors.LinearAt("ofs_embedding.linear_1");
    w.ofs_2 = tensors.LinearAt("ofs_embedding.linear_2");
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    w.blocks.push_back(
        BlockAt(tensors, "transformer_blocks." + std::to_string(i) + ".", config.norm_eps));
  }
  w.norm_final = tensors.NormAt("norm_final", config.norm_eps);
  w.norm_out = tensors.ModulatedNormAt("norm_out", config.norm_eps);
  w.proj_out = tensors.LinearAt("proj_out");
  return w;
}

}  // namespace cogwheel
