#include "worker/model/weights.h"

#include <cstring>
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

at::Tensor Weights::Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                         at::ScalarType dtype) const {
  const TensorFolder::Found found = folder_.Find(name);
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
