#include "worker/model/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <sstream>
#include <stdexcept>

#include <ATen/ATen.h>

namespace cogwheel {

at::ScalarType ScalarTypeOf(TensorDtype dtype) {
  switch (dtype) {
    case TensorDtype::kF32:
      return at::kFloat;
    case TensorDtype::kF16:
      return at::kHalf;
    case TensorDtype::kBf16:
      return at::kBFloat16;
    case TensorDtype::kU8:
      return at::kByte;
  }
  return at::kByte;
}

namespace {

constexpr double kSmall = 0.02;  // spread of biases, and of a norm's weights around 1

at::Tensor MakeRandom(const std::string& name, at::IntArrayRef shape, at::Device device,
                      at::ScalarType dtype) {
  at::Generator generator = at::globalContext().defaultGenerator(device);
  generator.set_current_seed(std::hash<std::string>{}(name));
  const at::Tensor normal = at::randn(shape, at::TensorOptions(dtype).device(device));
  const bool is_weight = name.ends_with(".weight");
  if (shape.size() == 1) return is_weight ? normal * kSmall + 1 : normal * kSmall;
  const int64_t inputs = normal.numel() / std::max<int64_t>(shape[0], 1);
  return normal * (1 / std::sqrt(static_cast<double>(inputs)));
}

}  // namespace

at::Tensor Weights::Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                         at::ScalarType dtype) const {
  if (!folder_.has_value()) {
    return device.is_meta() ? at::empty(shape, at::TensorOptions(dtype).device(device))
                            : MakeRandom(name, shape, device, dtype);
  }
  const TensorFolder::Found found = folder_->Find(name);
  if (found.entry == nullptr) {
    throw std::invalid_argument(found.file + ": tensor " + name + " is missing");
  }
  if (at::IntArrayRef(found.entry->shape) != shape) {
    std::ostringstream message;
    message << found.file << ": tensor " << name << " has shape "
            << at::IntArrayRef(found.entry->shape) << " where the configuration needs " << shape;
    throw std::invalid_argument(message.str());
  }
  if (device.is_meta()) return at::empty(shape, at::TensorOptions(dtype).device(device));
  // Offsets need not be aligned to the element size, so the bytes are copied, not viewed.
  const at::Tensor stored = at::empty(shape, at::TensorOptions(ScalarTypeOf(found.entry->dtype)));
  std::memcpy(stored.data_ptr(), found.entry->data.data(), found.entry->data.size());
  return stored.to(device, dtype);
}

}  // namespace cogwheel
