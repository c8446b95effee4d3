#include <ATen/ATen.h>

#include "worker/kernels/linear.h"

namespace cogwheel {

at::Tensor LinearAten(const at::Tensor& x, const LinearWeights& linear) {
  return at::linear(x, linear.weight, linear.bias);
}

at::Tensor LinearGeluAten(const at::Tensor& x, const LinearWeights& linear) {
  at::Tensor hidden = at::linear(x, linear.weight, linear.bias);
  return at::gelu_(hidden, "tanh");
}

}  // namespace cogwheel
