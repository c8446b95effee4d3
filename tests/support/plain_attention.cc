#include "tests/support/plain_attention.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace cogwheel {
namespace {

// [B, N, S_q, S_kv] fp64
at::Tensor Logits(const at::Tensor& q, const at::Tensor& k) {
  return at::matmul(q.to(at::kDouble), k.to(at::kDouble).transpose(2, 3)) /
         std::sqrt(static_cast<double>(q.size(3)));
}

double LargestNorm(const at::Tensor& x) {
  return x.to(at::kDouble).norm(2, /*dim=*/-1).max().item<double>();
}

}  // namespace

at::Tensor SeededNormal(at::IntArrayRef sizes, uint64_t seed) {
  return at::randn(sizes, at::make_generator<at::CPUGeneratorImpl>(seed), at::kFloat);
}

PlainAttention AttendPlainly(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const at::Tensor logits = Logits(q, k);
  return {.out = at::matmul(at::softmax(logits, -1), v.to(at::kDouble)),
          .lse = at::logsumexp(logits, {-1})};
}

AttentionTolerance ToleranceOf(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const double u = std::ldexp(1.0, -24);
  const double dim = static_cast<double>(q.size(3));
  const double logit = (dim + 2) * u * LargestNorm(q) * LargestNorm(k) / std::sqrt(dim);
  const double sums = (static_cast<double>(k.size(2)) + 8) * u;
  const double largest_v = v.abs().max().to(at::kDouble).item<double>();
  const double rounding = q.scalar_type() == at::kBFloat16 ? 3 * std::ldexp(1.0, -9) : 0;
  const double largest_lse = AttendPlainly(q, k, v).lse.abs().max().item<double>();
  return {.out = (2 * logit + sums + rounding) * largest_v, .lse = logit + sums + u * largest_lse};
}

double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  TORCH_CHECK(a.sizes() == b.sizes(), a.sizes(), " against ", b.sizes());
  if (a.numel() == 0) return 0;
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace cogwheel
