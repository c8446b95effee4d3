#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>

#include "worker/device/device.h"
#include "worker/kernels/attention.h"
#include "worker/kernels/attention_hopper.h"

namespace cogwheel {
namespace {

constexpr int64_t kHopperDim = 64;
constexpr int64_t kVectorBytes = 16;
// Scores in fp32 that the plain form holds at a time.
constexpr int64_t kPlainScoreBytes = int64_t{256} << 20;

bool IsHalf(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
}

// Rows that bulk copies can address: dense channels, everything else on 16 bytes.
bool IsAligned(const at::Tensor& x) {
  const int64_t step = kVectorBytes / x.element_size();
  return x.stride(3) == 1 && x.stride(0) % step == 0 && x.stride(1) % step == 0 &&
         x.stride(2) % step == 0 &&
         reinterpret_cast<uintptr_t>(x.const_data_ptr()) % kVectorBytes == 0;
}

bool FitsInt(const at::Tensor& x) {
  return x.size(0) * std::max(x.stride(0), int64_t{1}) <= std::numeric_limits<int>::max();
}

HeadStrides StridesOf(const at::Tensor& x) {
  return {.batch = x.stride(0), .head = x.stride(1), .row = x.stride(2)};
}

// [B, N, S, D] over memory that is dense as [B, S, N, D], as the exchange and the next product want
// it.
at::Tensor EmptyLikeRows(const at::Tensor& q) {
  return at::empty({q.size(0), q.size(2), q.size(1), q.size(3)}, q.options()).transpose(1, 2);
}

AttentionPart AttendHopper(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  AttentionPart part = {
      .out = EmptyLikeRows(q),
      .lse = at::empty({q.size(0), q.size(1), q.size(2)}, q.options().dtype(at::kFloat))};
  const at::Tensor inexact = at::zeros({1}, q.options().dtype(at::kInt));
  const HopperAttention work{
      .q = q.const_data_ptr(),
      .k = k.const_data_ptr(),
      .v = v.const_data_ptr(),
      .out = part.out.data_ptr(),
      .lse = part.lse.data_ptr<float>(),
      .q_strides = StridesOf(q),
      .k_strides = StridesOf(k),
      .v_strides = StridesOf(v),
      .out_strides = StridesOf(part.out),
      .batch = static_cast<int>(q.size(0)),
      .heads = static_cast<int>(q.size(1)),
      .queries = static_cast<int>(q.size(2)),
      .keys = static_cast<int>(k.size(2)),
      .multiprocessors = at::cuda::getCurrentDeviceProperties()->multiProcessorCount,
      .inexact = inexact.data_ptr<int>(),
      .stream = StreamOf(q)};
  const bool started = q.scalar_type() == at::kBFloat16 ? LaunchHopperAttentionBf16(work)
                                                        : LaunchHopperAttentionFp16(work);
  TORCH_CHECK(started, "the attention kernel could not be started for q ", q.sizes(), " and k ",
              k.sizes());
  return part;
}

AttentionPart AttendCudnn(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  auto result = at::_scaled_dot_product_cudnn_attention(q, k, v, /*attn_bias=*/std::nullopt,
                                                        /*compute_log_sumexp=*/true);
  return {.out = std::get<0>(result),
          .lse = std::get<1>(result).reshape({q.size(0), q.size(1), q.size(2)})};
}

// CUTLASS's memory-efficient kernel; fp32 without tensor cores' shortened mantissas.
AttentionPart AttendMemoryEfficient(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  auto [out, lse, seed, offset] = at::_scaled_dot_product_efficient_attention(
      q, k, v, /*attn_bias=*/std::nullopt, /*compute_log_sumexp=*/true);
  // Its log-sum-exp has rows up to a multiple of 32.
  return {.out = out, .lse = lse.narrow(2, 0, q.size(2)).contiguous()};
}

AttentionPart AttendPlain(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const int64_t row_bytes = q.size(0) * q.size(1) * k.size(2) * static_cast<int64_t>(sizeof(float));
  const int64_t rows = std::max<int64_t>(1, kPlainScoreBytes / row_bytes);
  const at::Tensor keys = k.to(at::kFloat).transpose(2, 3), values = v.to(at::kFloat);
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  std::vector<at::Tensor> out, lse;
  for (int64_t begin = 0; begin < q.size(2); begin += rows) {
    const at::Tensor some = q.narrow(2, begin, std::min(rows, q.size(2) - begin)).to(at::kFloat);
    const at::Tensor scores = at::matmul(some * scale, keys);
    lse.push_back(at::logsumexp(scores, -1));
    out.push_back(at::matmul(at::exp(scores - lse.back().unsqueeze(-1)), values));
  }
  return {.out = at::cat(out, 2).to(q.scalar_type()), .lse = at::cat(lse, 2)};
}

}  // namespace

bool CanAttend(AttentionKernel kernel, const at::Tensor& q, const at::Tensor& k,
               const at::Tensor& v) {
  const bool aligned = IsAligned(q) && IsAligned(k) && IsAligned(v);
  const cudaDeviceProp* device = at::cuda::getCurrentDeviceProperties();
  switch (kernel) {
    case AttentionKernel::kHopper:
      return device->major == 9 && device->minor == 0 && IsHalf(q) && q.size(3) == kHopperDim &&
             aligned && FitsInt(q) && FitsInt(k) && FitsInt(v);
    case AttentionKernel::kCudnn:
      return device->major >= 8 && IsHalf(q) && q.size(3) % 8 == 0 && q.size(3) <= 128 && aligned;
    case AttentionKernel::kMemoryEfficient:
      return aligned;
    case AttentionKernel::kPlain:
      break;
  }
  return true;
}

AttentionPart AttendWith(AttentionKernel kernel, const at::Tensor& q, const at::Tensor& k,
                         const at::Tensor& v) {
  switch (kernel) {
    case AttentionKernel::kHopper:
      return AttendHopper(q, k, v);
    case AttentionKernel::kCudnn:
      return AttendCudnn(q, k, v);
    case AttentionKernel::kMemoryEfficient:
      return AttendMemoryEfficient(q, k, v);
    case AttentionKernel::kPlain:
      break;
  }
  return AttendPlain(q, k, v);
}

AttentionPart AttendCuda(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  for (const AttentionKernel kernel :
       {AttentionKernel::kHopper, AttentionKernel::kCudnn, AttentionKernel::kMemoryEfficient}) {
    if (CanAttend(kernel, q, k, v)) return AttendWith(kernel, q, k, v);
  }
  return AttendWith(AttentionKernel::kPlain, q, k, v);
}

}  // namespace cogwheel
