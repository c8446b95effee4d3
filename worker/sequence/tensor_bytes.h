#pragma once

#include <cstddef>
#include <span>

#include <ATen/core/Tensor.h>

namespace cogwheel {

// The bytes of a contiguous tensor, for exchanges. The tensor must outlive the span.
inline std::span<std::byte> TensorBytes(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous(), "an exchange needs a contiguous tensor");
  return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<size_t>(tensor.nbytes())};
}

// The same for any dense layout; both sides of the exchange have the same one.
inline std::span<std::byte> DenseBytes(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_non_overlapping_and_dense(), "an exchange needs a dense tensor");
  return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<size_t>(tensor.nbytes())};
}

}  // namespace cogwheel
