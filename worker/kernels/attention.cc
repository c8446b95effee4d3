#include "worker/kernels/attention.h"

#include <utility>

#include <ATen/ATen.h>

namespace cogwheel {

AttentionPart Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  TORCH_CHECK(q.dim() == 4 && k.sizes() == v.sizes() && q.size(0) == k.size(0) &&
                  q.size(1) == k.size(1) && q.size(3) == k.size(3) && q.size(2) > 0 &&
                  k.size(2) > 0,
              "attention of q ", q.sizes(), " over k ", k.sizes(), " and v ", v.sizes());
  return q.is_cuda() ? AttendCuda(q, k, v) : AttendCpu(q, k, v);
}

void AttentionMerge::Add(AttentionPart part) {
  if (empty()) {
    out_ = std::move(part.out);
    lse_ = std::move(part.lse);
    return;
  }
  const at::Tensor lse = at::logaddexp(lse_, part.lse);  // [B, N, S_q]
  out_ = out_.to(at::kFloat);
  out_.mul_(lse_.sub_(lse).exp_().unsqueeze(-1));
  out_.addcmul_(part.out.to(at::kFloat), part.lse.sub_(lse).exp_().unsqueeze(-1));
  lse_ = lse;
}

at::Tensor AttentionMerge::Result(at::ScalarType dtype) const {
  TORCH_CHECK(!empty(), "attention over no keys");
  return out_.to(dtype);
}

}  // namespace cogwheel
