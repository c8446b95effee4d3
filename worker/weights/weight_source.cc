#include "worker/weights/weight_source.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>
#include <stdexcept>

#include <ATen/ATen.h>

#include "base/crc32c.h"

namespace cogwheel {

std::optional<at::ScalarType> WeightTypeOf(TensorDtype dtype) {
  switch (dtype) {
    case TensorDtype::kF64:
      return at::kDouble;
    case TensorDtype::kF32:
      return at::kFloat;
    case TensorDtype::kF16:
      return at::kHalf;
    case TensorDtype::kBf16:
      return at::kBFloat16;
    case TensorDtype::kF8E4m3:
      return at::kFloat8_e4m3fn;
    case TensorDtype::kF8E5m2:
      return at::kFloat8_e5m2;
    default:
      return std::nullopt;
  }
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

at::Tensor RandomWeights::Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                               at::ScalarType dtype) const {
  if (device.is_meta()) return at::empty(shape, at::TensorOptions(dtype).device(device));
  const at::Tensor made = MakeRandom(name, shape, device, dtype);
  *made_bytes_ += static_cast<int64_t>(made.nbytes());
  return made;
}

at::Tensor WeightFiles::Load(const std::string& name, at::IntArrayRef shape, at::Device device,
                             at::ScalarType dtype) const {
  const auto [entry, file] = folder_.At(name);
  if (at::IntArrayRef(entry->shape) != shape) {
    std::ostringstream message;
    message << file->path() << ": tensor " << name << " has shape " << at::IntArrayRef(entry->shape)
            << " where the configuration needs " << shape;
    throw std::invalid_argument(message.str());
  }
  const std::optional<at::ScalarType> type = WeightTypeOf(entry->dtype);
  if (!type.has_value()) {
    throw std::invalid_argument(file->path() + ": tensor " + name + " has dtype " +
                                DtypeName(entry->dtype) +
                                "; weights are F64, F32, F16, BF16, F8_E4M3 or F8_E5M2");
  }
  if (device.is_meta()) return at::empty(shape, at::TensorOptions(dtype).device(device));
  const WeightReader::Content stored = reader_->Read(*file, entry->offset, entry->bytes, device);
  loaded_[name] = {.bytes = entry->bytes, .crc32c = stored.crc32c};
  return stored.bytes.view(*type).view(shape).to(dtype);
}

uint32_t WeightFiles::Crc32cLess(const std::string& without) const {
  uint32_t whole = 0;
  for (const auto& [name, loaded] : loaded_) {
    if (!without.empty() && name.starts_with(without)) continue;
    whole = JoinCrc32c(whole, loaded.crc32c, static_cast<uint64_t>(loaded.bytes));
  }
  return whole;
}

}  // namespace cogwheel
