#include <vector>

#include <ATen/ATen.h>

#include "worker/kernels/linear.h"

namespace cogwheel {

// Bias and activation ride in the product's epilogue, where cuBLASLt has one:
// [rows, in] x [in, out].
at::Tensor LinearGeluCuda(const at::Tensor& x, const LinearWeights& linear) {
  if (x.numel() == 0) return LinearGeluAten(x, linear);
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  at::Tensor out = at::_addmm_activation(linear.bias, rows, linear.weight.t(), /*beta=*/1,
                                         /*alpha=*/1, /*use_gelu=*/true);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = linear.weight.size(0);
  return out.view(shape);
}

}  // namespace cogwheel
