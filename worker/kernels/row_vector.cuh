#pragma once

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "worker/kernels/row_kernels.h"

// 16 bytes of a row as fp32 values, for kernels that are bound by memory.
namespace cogwheel {

// launch(element) with a value, of no meaning, of the type that the rows have.
template <typename Launch>
bool WithElement(RowType type, const Launch& launch) {
  switch (type) {
    case RowType::kFp32:
      return launch(float{});
    case RowType::kFp16:
      return launch(__half{});
    case RowType::kBf16:
      return launch(__nv_bfloat16{});
  }
  return false;
}

__device__ inline float ToFloat(float x) { return x; }
__device__ inline float ToFloat(__half x) { return __half2float(x); }
__device__ inline float ToFloat(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void Round(float x, float& out) { out = x; }
__device__ inline void Round(float x, __half& out) { out = __float2half_rn(x); }
__device__ inline void Round(float x, __nv_bfloat16& out) { out = __float2bfloat16_rn(x); }

template <typename T>
struct RowVector {
  static constexpr int kWidth = 16 / sizeof(T);
  float x[kWidth];

  // from: the row's first element; idx counts vectors.
  __device__ static RowVector Load(const T* from, int64_t idx) {
    const uint4 bits = reinterpret_cast<const uint4*>(from)[idx];
    const T* values = reinterpret_cast<const T*>(&bits);
    RowVector vector;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) vector.x[i] = ToFloat(values[i]);
    return vector;
  }
  __device__ void Store(T* to, int64_t idx) const {
    uint4 bits;
    T* values = reinterpret_cast<T*>(&bits);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) Round(x[i], values[i]);
    reinterpret_cast<uint4*>(to)[idx] = bits;
  }
  // What Store keeps, as fp32.
  __device__ void RoundInPlace() {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      T rounded;
      Round(x[i], rounded);
      x[i] = ToFloat(rounded);
    }
  }
};

}  // namespace cogwheel
