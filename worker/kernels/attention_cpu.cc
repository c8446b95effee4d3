#include <tuple>

#include <ATen/ATen.h>

#include "worker/kernels/attention.h"

namespace cogwheel {

AttentionPart AttendCpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  // ATen's blocked kernel: never holds the S_q x S_kv scores, and gives the log-sum-exp. It takes
  // the last stride to be 1 without looking.
  const auto dense = [](const at::Tensor& x) { return x.stride(3) == 1 ? x : x.contiguous(); };
  auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(dense(q), dense(k), dense(v));
  return {.out = std::move(out), .lse = std::move(lse)};
}

}  // namespace cogwheel
