#pragma once

#include <cstdint>

// The row-wise device kernels of the transformer: raw pointers, shapes and a stream, no ATen.
// Arithmetic is fp32; each result is rounded once. Every thread writes its own elements only, and
// sums run in one fixed order: bit-identical from run to run.
namespace cogwheel {

enum class RowType { kFp32, kFp16, kBf16 };

// A vector of `width` elements for each batch entry; stride 0 shares one.
struct BatchVector {
  const void* data = nullptr;
  int64_t batch_stride = 0;
};

// For each row of [batch, rows, width], the first text_count of them text:
//   with gates:  residual += gate · update, in place
//   with a norm: normed = LayerNorm(residual) · (1 + scale) + shift
// Dense, 16-byte aligned. width · element size is a multiple of 16 and at most kMaxRowBytes.
struct RowWork {
  RowType type = RowType::kFp32;
  int64_t batch = 0, rows = 0, width = 0, text_count = 0;
  void* residual = nullptr;
  const void* update = nullptr;       // null: no gates
  BatchVector text_gate, video_gate;  // text: may be null where text_count is 0
  void* normed = nullptr;             // null: no norm
  const void* norm_weight = nullptr;  // [width]
  const void* norm_bias = nullptr;    // [width]
  float epsilon = 0;
  BatchVector text_scale, text_shift, video_scale, video_shift;
  void* stream = nullptr;  // cudaStream_t
};
inline constexpr int64_t kMaxRowBytes = 16384;
// False when the launch was refused.
bool LaunchRowWork(const RowWork& work);

// q, k and v side by side, [batch, rows, 3, heads, dim]: q and k are normed over dim, and rotated
// on rows from text_count on, in place; v stays as it is.
// dim · element size is 16, 32, 64, 128, 256 or 512; data are 16-byte aligned.
struct HeadWork {
  RowType type = RowType::kFp32;
  int64_t batch = 0, rows = 0, heads = 0, dim = 0, text_count = 0;
  void* qkv = nullptr;
  const void* q_weight = nullptr;  // [dim], and the three after it
  const void* q_bias = nullptr;
  const void* k_weight = nullptr;
  const void* k_bias = nullptr;
  float epsilon = 0;
  const float* cos = nullptr;  // [rows − text_count, dim]; null: no rotation
  const float* sin = nullptr;
  void* stream = nullptr;
};
bool LaunchHeadWork(const HeadWork& work);

}  // namespace cogwheel
