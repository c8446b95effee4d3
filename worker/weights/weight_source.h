#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>

#include "worker/weights/safetensors.h"
#include "worker/weights/tensor_folder.h"
#include "worker/weights/weight_reader.h"

namespace cogwheel {

// The tensor type of stored weights; nothing for dtypes that hold none: integers, truth values,
// complex numbers, and floats that only mean something beside a scale.
std::optional<at::ScalarType> WeightTypeOf(TensorDtype dtype);

// Where the weights of one component come from, by the checkpoint's names. Owned by the rank thread
// while a model loads.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual bool Has(const std::string& name) const = 0;

  // A copy on `device` in `dtype`; on the meta device only name and shape are checked. On a GPU it
  // is ready for whatever the calling thread's stream does next. Throws std::invalid_argument
  // naming source, tensor, expected and found shape, or the dtype of what holds no weights.
  virtual at::Tensor Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                          at::ScalarType dtype) const = 0;
};

// The files of a component's folder (transformer/, vae/, text_encoder/). Load also throws as
// OpenFile::Read.
class WeightFiles final : public WeightSource {
 public:
  // `read_bytes` rises while files are read, on any thread.
  explicit WeightFiles(
      const ComponentFolder& component,
      std::shared_ptr<std::atomic<int64_t>> read_bytes = std::make_shared<std::atomic<int64_t>>(0))
      : folder_(component), reader_(std::make_unique<WeightReader>(std::move(read_bytes))) {}

  bool Has(const std::string& name) const override { return folder_.Find(name) != nullptr; }
  // CRC-32C of the stored bytes of what was loaded so far, in the order of names, less the names
  // that begin with `without` (unless that is empty).
  uint32_t Crc32cLess(const std::string& without) const;
  at::Tensor Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                  at::ScalarType dtype) const override;

 private:
  const TensorFolder folder_;
  struct Loaded {
    int64_t bytes = 0;
    uint32_t crc32c = 0;
  };
  const std::unique_ptr<WeightReader> reader_;
  mutable std::map<std::string, Loaded> loaded_;
};

// Weights of any shape for benchmarks, made on the device: normal, scaled by the inputs of a
// product; norms near 1. The same name, shape and kind of device give the same values.
class RandomWeights final : public WeightSource {
 public:
  // `made_bytes` rises as a file's read bytes would: large ones take their time too.
  explicit RandomWeights(
      std::shared_ptr<std::atomic<int64_t>> made_bytes = std::make_shared<std::atomic<int64_t>>(0))
      : made_bytes_(std::move(made_bytes)) {}

  bool Has(const std::string& /*name*/) const override { return true; }
  at::Tensor Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                  at::ScalarType dtype) const override;

 private:
  const std::shared_ptr<std::atomic<int64_t>> made_bytes_;
};

}  // namespace cogwheel
