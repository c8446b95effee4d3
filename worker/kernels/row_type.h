#pragma once

#include <ATen/core/Tensor.h>

#include "worker/kernels/row_kernels.h"

namespace cogwheel {

inline RowType RowTypeOf(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return RowType::kFp32;
    case at::kHalf:
      return RowType::kFp16;
    case at::kBFloat16:
      return RowType::kBf16;
    default:
      TORCH_CHECK(false, "no kernel for ", dtype);
  }
}

}  // namespace cogwheel
