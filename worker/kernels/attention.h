#pragma once

#include <ATen/core/Tensor.h>

namespace cogwheel {

// A part of softmax(q kᵀ / sqrt(D)) v over some keys, with what is needed to merge it with others.
struct AttentionPart {
  at::Tensor out;  // [B, N, S_q, D], q's dtype
  at::Tensor lse;  // [B, N, S_q] fp32: natural log of the sum of exp(q k / sqrt(D)) over the keys
};

// Unmasked attention of all queries over one block of keys.
// q: [B, N, S_q, D], k and v: [B, N, S_kv, D]; S_q, S_kv, N > 0. Any strides.
AttentionPart Attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// The CPU's and the GPU's; the entry above has checked shapes. `out` is dense as [B, S_q, N, D].
AttentionPart AttendCpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
AttentionPart AttendCuda(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// The GPU's kernels, the fastest first; AttendCuda takes the first that can. For tests and
// benchmarks.
enum class AttentionKernel { kHopper, kCudnn, kMemoryEfficient, kPlain };
bool CanAttend(AttentionKernel kernel, const at::Tensor& q, const at::Tensor& k,
               const at::Tensor& v);
AttentionPart AttendWith(AttentionKernel kernel, const at::Tensor& q, const at::Tensor& k,
                         const at::Tensor& v);

// Collects parts over disjoint keys: out = Σ out_i exp(lse_i − lse), lse = log Σ exp(lse_i), in
// fp32. One part passes through unchanged. The tensors of a part are taken over and written to.
class AttentionMerge {
 public:
  void Add(AttentionPart part);
  bool empty() const { return !out_.defined(); }
  // [B, N, S_q, D] in `dtype`. At least one part was added.
  at::Tensor Result(at::ScalarType dtype) const;

 private:
  at::Tensor out_;
  at::Tensor lse_;
};

}  // namespace cogwheel
