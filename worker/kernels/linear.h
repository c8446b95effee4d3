#pragma once

#include <ATen/core/Tensor.h>

namespace cogwheel {

struct LinearWeights {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
};

// x · weightᵀ + bias. x: [..., in] → [..., out], same dtype; no rows are legal.
at::Tensor Linear(const at::Tensor& x, const LinearWeights& linear);

// The same, then GELU in its tanh approximation (fp32 inside, one rounding): diffusers
// models/activations.py GELU(approximate="tanh").
at::Tensor LinearGelu(const at::Tensor& x, const LinearWeights& linear);

// By ATen's operations, on any device, and the GPU's with its fused epilogue; the entries above
// have checked shapes.
at::Tensor LinearAten(const at::Tensor& x, const LinearWeights& linear);
at::Tensor LinearGeluAten(const at::Tensor& x, const LinearWeights& linear);
at::Tensor LinearGeluCuda(const at::Tensor& x, const LinearWeights& linear);

}  // namespace cogwheel
