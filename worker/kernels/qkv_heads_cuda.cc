#include <bit>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/kernels/check_shape.h"
#include "worker/kernels/qkv_heads.h"
#include "worker/kernels/row_kernels.h"
#include "worker/kernels/row_type.h"

namespace cogwheel {
namespace {

// A warp holds whole heads as vectors of 16 bytes. Other head dimensions take ATen's operations.
bool Fits(const at::Tensor& qkv) {
  const int64_t bytes = qkv.size(4) * qkv.element_size();
  return bytes >= 16 && bytes <= 512 && std::has_single_bit(static_cast<uint64_t>(bytes));
}

// qkv: [B, S, 3, N, D], q and k in place.
void NormAndRotate(const at::Tensor& qkv, const QkvWeights& weights, int64_t text_count,
                   const Rotation& rotation) {
  const bool rotates = rotation.cos.defined() && text_count < qkv.size(1);
  if (rotates) {
    CheckShape(rotation.cos, {qkv.size(1) - text_count, qkv.size(4)}, "cos");
    CheckShape(rotation.sin, {qkv.size(1) - text_count, qkv.size(4)}, "sin");
    TORCH_CHECK(rotation.cos.is_contiguous() && rotation.sin.is_contiguous() &&
                    rotation.cos.device() == qkv.device() && rotation.sin.device() == qkv.device(),
                "a rotation that is not dense on ", qkv.device());
  }
  const HeadWork work{.type = RowTypeOf(qkv.scalar_type()),
                      .batch = qkv.size(0),
                      .rows = qkv.size(1),
                      .heads = qkv.size(3),
                      .dim = qkv.size(4),
                      .text_count = text_count,
                      .qkv = qkv.data_ptr(),
                      .q_weight = weights.norm_q.weight.const_data_ptr(),
                      .q_bias = weights.norm_q.bias.const_data_ptr(),
                      .k_weight = weights.norm_k.weight.const_data_ptr(),
                      .k_bias = weights.norm_k.bias.const_data_ptr(),
                      .epsilon = static_cast<float>(weights.norm_q.epsilon),
                      .cos = rotates ? rotation.cos.const_data_ptr<float>() : nullptr,
                      .sin = rotates ? rotation.sin.const_data_ptr<float>() : nullptr,
                      .stream = StreamOf(qkv)};
  TORCH_CHECK(LaunchHeadWork(work), "a kernel over heads ", qkv.sizes(), " could not be started");
}

}  // namespace

Heads ProjectHeadsCuda(at::Tensor rows, const QkvWeights& weights, int64_t head_count,
                       int64_t text_count, const Rotation& rotation) {
  const int64_t D = rows.size(2) / head_count;
  const at::Tensor qkv = Linear(rows, weights.linear).unflatten(-1, {3, head_count, D});
  rows.reset();
  Heads heads = {.q = qkv.select(2, 0), .k = qkv.select(2, 1), .v = qkv.select(2, 2)};
  CheckShape(weights.norm_q.weight, {D}, "q norm weight");
  CheckLike(weights.norm_q.weight, qkv, "q norm weight");
  CheckShape(weights.norm_k.weight, {D}, "k norm weight");
  CheckLike(weights.norm_k.weight, qkv, "k norm weight");
  if (Fits(qkv)) {
    NormAndRotate(qkv, weights, text_count, rotation);
  } else {
    heads.q = QkNormRope(heads.q.contiguous(), text_count, weights.norm_q, rotation);
    heads.k = QkNormRope(heads.k.contiguous(), text_count, weights.norm_k, rotation);
  }
  return heads;
}

}  // namespace cogwheel
