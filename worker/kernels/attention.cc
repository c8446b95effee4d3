#include "worker/kernels/attention.h"

#include <utility>

#include <ATen/ATen.h>

namespace cogwheel {

void AttentionMerge::Add(AttentionPart part) {
  if (empty()) {
    out_ = std::move(part.out);
    lse_ = std::move(part.lse);
    return;
  }
  const at::Tensor lse = at::logaddexp(lse_, part.lse);
  const at::Tensor keep = at::exp(lse_ - lse).unsqueeze(-1);
  const at::Tensor add = at::exp(part.lse - lse).unsqueeze(-1);
  out_ = out_.to(at::kFloat) * keep + part.out.to(at::kFloat) * add;
  lse_ = lse;
}

at::Tensor AttentionMerge::Result(at::ScalarType dtype) const {
  TORCH_CHECK(!empty(), "attention over no keys");
  return out_.to(dtype);
}

}  // namespace cogwheel
