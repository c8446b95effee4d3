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

// What both forms of the softmax below have: the sums of 2^(log2_scale · score − shift).
class RowSums {
 public:
  // Puts the exponentials in the scores' place, [2, keys], and adds them up.
  template <typename Scores>
  __device__ void Add(Scores& scores, float log2_scale, const float (&shift)[kRowsOfThread]) {
#pragma unroll
    for (int row = 0; row < kRowsOfThread; ++row) {
      float sums[2];  // two chains of additions run beside each other
#pragma unroll
      for (int key = 0; key < cute::size<1>(scores); ++key) {
        const float value = Exp2(fmaf(scores(row, key), log2_scale, -shift[row]));
        scores(row, key) = value;
        sums[key % 2] = key < 2 ? value : sums[key % 2] + value;
      }
      sum_[row] += sums[0] + sums[1];
    }
  }
  __device__ void Scale(int row, float factor) { sum_[row] *= factor; }

  // Of all keys, in each of the row's threads.
  __device__ float Total(int row) const {
    const float half = sum_[row] + __shfl_xor_sync(kWholeWarp, sum_[row], 1);
    return half + __shfl_xor_sync(kWholeWarp, half, 2);
  }

 private:
  float sum_[kRowsOfThread] = {0, 0};
};

// What RowSoftmax does, but without a reference: the exponentials as they are, as long as they fit.
// For elements with fp32's range of exponents. It has no use for the maximum and takes less power,
// which is what bounds attention on an H200; whether it was right is known at the end.
class DirectSoftmax {
 public:
  __device__ DirectSoftmax(float, float log2_scale) : log2_scale_(log2_scale) {}

  template <typename Scores>
  __device__ bool MoveReference(const Scores&) {
    return false;
  }
  __device__ float Factor(int) const { return 1; }

  template <typename Scores>
  __device__ void Exponentiate(Scores& scores) {
    sums_.Add(scores, log2_scale_, {0, 0});
  }
  __device__ float Sum(int row) const { return sums_.Total(row); }
  __device__ float LogSumExp(int, float sum) const { return __logf(sum); }

  // Sums of values times exponentials stay below 2^127 when those of the exponentials are below
  // 2^100 and the values below 2^27. What was rounded to zero, below 2^-126, is less than 2^-20 of
  // a sum above 2^-90 over 2^16 keys. False for what is not a number.
  __device__ static bool IsExact(float sum) { return sum > 0x1p-90f && sum < 0x1p100f; }

 private:
  const float log2_scale_;
  RowSums sums_;
};

// With a reference that follows the greatest score, so that any scores will do. The softmax of
// scale · score; log2_scale is scale · log2(e).
class RowSoftmax {
 public:
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
      sums_.Scale(row, factor_[row]);
    }
    return true;
  }
  __device__ float Factor(int row) const { return factor_[row]; }

  // In place, exp(scale · (score − reference)), added to the row's sum.
  template <typename Scores>
  __device__ void Exponentiate(Scores& scores) {
    sums_.Add(scores, log2_scale_, {reference_[0] * log2_scale_, reference_[1] * log2_scale_});
  }

  // The row's sum over all keys. After the last tile.
  __device__ float Sum(int row) const { return sums_.Total(row); }
  // log Σ exp(scale · score), natural.
  __device__ float LogSumExp(int row, float sum) const {
    return reference_[row] * scale_ + __logf(sum);
  }
  __device__ static bool IsExact(float) { return true; }

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
  float factor_[kRowsOfThread];
  RowSums sums_;
};

}  // namespace cogwheel
