#pragma once

#include <ATen/core/Tensor.h>

namespace cogwheel {

// The contract of a public op: a tensor has this shape; dtype and device are those of `like`.
inline void CheckShape(const at::Tensor& tensor, at::IntArrayRef shape, const char* name) {
  TORCH_CHECK(tensor.defined(), name, " is missing, expected ", shape);
  TORCH_CHECK(tensor.sizes() == shape, name, " is ", tensor.sizes(), ", expected ", shape);
}
inline void CheckLike(const at::Tensor& tensor, const at::Tensor& like, const char* name) {
  TORCH_CHECK(tensor.scalar_type() == like.scalar_type() && tensor.device() == like.device(), name,
              " is ", tensor.scalar_type(), " on ", tensor.device(), ", expected ",
              like.scalar_type(), " on ", like.device());
}

}  // namespace cogwheel
