#pragma once

#include <cstdint>

// The attention kernel for Hopper GPUs (compute capability 9.0 only). Raw pointers, no ATen.
namespace cogwheel {

// Element strides of [B, N, S, 64] whose last stride is 1. Multiples of 8, below 2^31; the data are
// 16-byte aligned.
struct HeadStrides {
  int64_t batch = 0, head = 0, row = 0;
};

// out[b, n, i] = softmax_j(q k / 8) v and lse[b, n, i] = log Σ_j exp(q k / 8), natural, fp32.
struct HopperAttention {
  const void* q = nullptr;  // [B, N, S_q, 64]
  const void* k = nullptr;  // [B, N, S_kv, 64]
  const void* v = nullptr;  // [B, N, S_kv, 64]
  void* out = nullptr;      // [B, N, S_q, 64]
  float* lse = nullptr;     // [B, N, S_q], dense
  HeadStrides q_strides, k_strides, v_strides, out_strides;
  int batch = 0, heads = 0, queries = 0, keys = 0;
  int multiprocessors = 0;
  int* inexact = nullptr;  // one word of the device's memory that is 0; scratch of bf16's kernels
  void* stream = nullptr;  // cudaStream_t
};

// Starts the kernel; false when it cannot be started. The result is bit-identical from run to run.
bool LaunchHopperAttentionBf16(const HopperAttention& work);
bool LaunchHopperAttentionFp16(const HopperAttention& work);

}  // namespace cogwheel
