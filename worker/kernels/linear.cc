#include "worker/kernels/linear.h"

#include <ATen/ATen.h>

#include "worker/kernels/check_shape.h"

namespace cogwheel {
namespace {

void CheckLinear(const at::Tensor& x, const LinearWeights& linear) {
  TORCH_CHECK(linear.weight.dim() == 2 && x.dim() >= 1, "linear of ", x.sizes(), " with ",
              linear.weight.sizes());
  TORCH_CHECK(x.size(-1) == linear.weight.size(1), "linear of ", x.sizes(), " with ",
              linear.weight.sizes());
  CheckShape(linear.bias, {linear.weight.size(0)}, "bias");
  CheckLike(linear.weight, x, "weight");
  CheckLike(linear.bias, x, "bias");
}

}  // namespace

at::Tensor Linear(const at::Tensor& x, const LinearWeights& linear) {
  CheckLinear(x, linear);
  return LinearAten(x, linear);
}

at::Tensor LinearGelu(const at::Tensor& x, const LinearWeights& linear) {
  CheckLinear(x, linear);
  return x.is_cuda() ? LinearGeluCuda(x, linear) : LinearGeluAten(x, linear);
}

}  // namespace cogwheel
