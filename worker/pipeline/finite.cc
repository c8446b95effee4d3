#include "worker/pipeline/finite.h"

#include <tuple>

#include <ATen/ATen.h>

namespace cogwheel {

at::Tensor AllFinite(const at::Tensor& values) {
  if (values.numel() == 0) return at::ones({}, at::TensorOptions(at::kBool));
  const auto [least, greatest] = at::aminmax(values);  // both are NaN if any value is
  return at::isfinite(least).logical_and(at::isfinite(greatest));
}

}  // namespace cogwheel
