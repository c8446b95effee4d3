#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace cogwheel {

// Standard normal numbers, the same for the same seed on every rank.
at::Tensor SeededNormal(at::IntArrayRef sizes, uint64_t seed);

// softmax(q kᵀ / sqrt(D)) v and its log-sum-exp by the plain formula in double.
// q: [B, N, S_q, D], k and v: [B, N, S_kv, D], any floating dtype.
struct PlainAttention {
  at::Tensor out;  // [B, N, S_q, D] fp64
  at::Tensor lse;  // [B, N, S_q] fp64
};
PlainAttention AttendPlainly(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// How far fp32 arithmetic on the same operands may be from AttendPlainly. With u = 2^-24 a logit is
// a dot product of D terms, rounded and scaled: |ds| <= (D + 2) u max|q_i| max|k_j| / sqrt(D)
// (row norms). A weight exp(s_j - m) / sum changes by the factor exp(+-2 ds), and the two sums over
// S_kv keys, exp, product and division round S_kv + 8 times:
//   |d out| <= (2 ds + (S_kv + 8) u) max|v|      |d lse| <= ds + (S_kv + 8) u + u max|lse|
// In bf16 the weights, each part and the result are rounded once more: + 3 * 2^-9 max|v|.
struct AttentionTolerance {
  double out = 0;
  double lse = 0;
};
AttentionTolerance ToleranceOf(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// Largest absolute difference; 0 for two tensors without elements.
double LargestDifference(const at::Tensor& a, const at::Tensor& b);

}  // namespace cogwheel
