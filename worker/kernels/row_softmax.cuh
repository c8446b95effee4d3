#pragma once

#include <cmath>

#include <cute/tensor.hpp>

// Softmax over rows whose scores arrive a tile of keys at a time, as attention kernels need it: a
// thread holds two rows, each with three other threads of its warp (the layout of wgmma's results).
// Milakov, Gimelshein: Online normalizer calculation for softmax; FlashAttention-2, algorithm 1.
namespace cogwheel {

inline constexpr int kRowsOfThread = 2;
inline constexpr unsigned kWholeWarp = 0xffffffff;

__device__ inline float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

class RowSoftmax {
 public:
  // The softmax is that of scale · score; log2_scale is scale · log2(e).
  __device__ RowSoftmax(float scale, float log2_scale) : scale_(scale), log2_scale_(log2_scale) {}

  // Makes the reference fit a tile of scores, [2, keys]. True when it moved: what was summed up so
  // far is then to be multiplied by Factor(row). The reference follows the maximum only once that
  // is 2^8 above it, so that this is rare; no more than 2^8 · keys can be summed up, and what the
  // reference is cancels in the result.
  template <typename Scores>
  __device__ bool MoveReference(const Scores& scores) {
    bool may_move = false;
#pragma unroll
    for (int row = 0; row < kRowsOfThread; ++row) {
      may_move |= MaxOrZero(scores, row) > limit_[row];
    }
    if (!__any_sync(kWholeWarp, may_move)) return false;
#pragma unroll
    for (int row = 0; row < kRowsOfThread; ++row) {
      const float next = fmaxf(reference_[row], RowMax(scores, row));
      factor_[row] = Exp2((reference_[row] - next) * log2_scale_);
      reference_[row] = next;
      limit_[row] = next + kSlackLog2 / log2_scale_;
      sum_[row] *= factor_[row];
    }
    return true;
  }
  __device__ float Factor(int row) const { return factor_[row]; }

  // In place, exp(scale · (score − reference)), added to the row's sum.
  template <typename Scores>
  __device__ void Exponentiate(Scores& scores) {
#pragma unroll
    for (int row = 0; row < kRowsOfThread; ++row) {
      const float shift = reference_[row] * log2_scale_;
      float sums[2];  // two chains of additions run beside each other
#pragma unroll
      for (int key = 0; key < cute::size<1>(scores); ++key) {
        const float value = Exp2(fmaf(scores(row, key), log2_scale_, -shift));
        scores(row, key) = value;
        sums[key % 2] = key < 2 ? value : sums[key % 2] + value;
      }
      sum_[row] += sums[0] + sums[1];
    }
  }

  // The row's sum over all keys. After the last tile.
  __device__ float Sum(int row) const {
    const float half = sum_[row] + __shfl_xor_sync(kWholeWarp, sum_[row], 1);
    return half + __shfl_xor_sync(kWholeWarp, half, 2);
  }
  // log Σ exp(scale · score), natural.
  __device__ float LogSumExp(int row, float sum) const {
    return reference_[row] * scale_ + __logf(sum);
  }

 private:
  static constexpr float kSlackLog2 = 8;

  // The greatest of this thread's scores and 0, in half the instructions of a maximum of floats:
  // floats that are not negative are ordered as their bits are, and there is an instruction for
  // the greatest of three integers.
  template <typename Scores>
  __device__ static float MaxOrZero(const Scores& scores, int row) {
    int even = 0, odd = 0;  // two chains run beside each other
#pragma unroll
    for (int key = 0; key < cute::size<1>(scores); key += 4) {
      even = __vimax3_s32(even, __float_as_int(scores(row, key)),
                          __float_as_int(scores(row, key + 2)));
      odd = __vimax3_s32(odd, __float_as_int(scores(row, key + 1)),
                         __float_as_int(scores(row, key + 3)));
    }
    return __int_as_float(max(even, odd));
  }

  // Over the row's four threads.
  template <typename Scores>
  __device__ static float RowMax(const Scores& scores, int row) {
    float max = scores(row, 0);
#pragma unroll
    for (int key = 1; key < cute::size<1>(scores); ++key) max = fmaxf(max, scores(row, key));
#pragma unroll
    for (int lane = 1; lane < 4; lane *= 2) {
      max = fmaxf(max, __shfl_xor_sync(kWholeWarp, max, lane));
    }
    return max;
  }

  const float scale_, log2_scale_;
  float reference_[kRowsOfThread] = {-INFINITY, -INFINITY};
  float limit_[kRowsOfThread] = {-INFINITY, -INFINITY};  // scores above it move the reference
  float sum_[kRowsOfThread] = {0, 0};
  float factor_[kRowsOfThread];
};

}  // namespace cogwheel
