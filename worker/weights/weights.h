#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>

#include "worker/weights/safetensors.h"
#include "worker/weights/weight_reader.h"

namespace cogwheel {

// The tensor type of a stored one.
at::ScalarType ScalarTypeOf(TensorDtype dtype);

// The weights of one component folder (transformer/, vae/, text_encoder/), or random ones of any
// shape for benchmarks. Owned by the rank thread while a model loads.
class Weights {
 public:
  // `read_bytes` rises while files are read, on any thread.
  explicit Weights(const std::string& folder, std::shared_ptr<std::atomic<int64_t>> read_bytes =
                                                  std::make_shared<std::atomic<int64_t>>(0))
      : folder_(folder), reader_(std::make_unique<WeightReader>(std::move(read_bytes))) {}
  // Made on the device: normal, scaled by the inputs of a product; norms near 1. The same name,
  // shape and kind of device give the same values.
  static Weights Random() { return Weights(); }

  bool Has(const std::string& name) const {
    return !folder_.has_value() || folder_->Find(name).entry != nullptr;
  }

  // A copy on `device` in `dtype`; on the meta device only name and shape are checked. On a GPU it
  // is ready for whatever the calling thread's stream does next. Throws std::invalid_argument
  // naming file, tensor, expected and found shape, or where the file was cut off meanwhile.
  at::Tensor Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                  at::ScalarType dtype) const;

 private:
  Weights() = default;

  std::optional<TensorFolder> folder_;  // nothing: random
  std::unique_ptr<WeightReader> reader_;
};

}  // namespace cogwheel
