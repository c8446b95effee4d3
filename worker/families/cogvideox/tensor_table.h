#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/families/cogvideox/config.h"

namespace cogwheel {

// One tensor that a network needs: its name in the checkpoint and its shape.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;

  int64_t element_count() const;
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

// Every tensor of CogVideoXTransformer3DModel with this configuration, in the order of the
// reference's state dict. Pure, no torch.
std::vector<TensorSpec> TransformerTensors(const TransformerConfig& config);

}  // namespace cogwheel
