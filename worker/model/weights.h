#pragma once

#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "worker/model/safetensors.h"

namespace cogwheel {

// The tensor type of a stored one.
at::ScalarType ScalarTypeOf(TensorDtype dtype);

// The weights of one component folder (transformer/, vae/, text_encoder/), or random ones of any
// shape for benchmarks. Owned by the rank thread while a model loads.
class Weights {
 public:
  explicit Weights(const std::string& folder) : folder_(folder) {}
  // Made on the device: normal, scaled by the inputs of a product; norms near 1. The same name,
  // shape and kind of device give the same values.
  static Weights Random() { return Weights(); }

  bool Has(const std::string& name) const {
    return !folder_.has_value() || folder_->Find(name).entry != nullptr;
  }

  // A copy on `device` in `dtype`; on the meta device only name and shape are checked. Throws
  // std::invalid_argument naming file, tensor, expected and found shape.
  at::Tensor Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                  at::ScalarType dtype) const;

 private:
  Weights() = default;

  std::optional<TensorFolder> folder_;  // nothing: random
};

}  // namespace cogwheel
