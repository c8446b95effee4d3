#include <cuda_runtime.h>

#include "worker/kernels/row_kernels.h"
#include "worker/kernels/row_vector.cuh"

namespace cogwheel {
namespace {

constexpr int kWarpsPerBlock = 4;
constexpr int kQ = 0, kK = 1;  // places within qkv

// One warp a row. kLanes lanes hold one head, a vector of 16 bytes each, so 32 / kLanes heads are
// worked on together; a lane keeps its channels' weights and angles for all heads of the row.
template <typename T, int kLanes>
class HeadRow {
 public:
  using Vector = RowVector<T>;

  __device__ HeadRow(const HeadWork& work, int64_t row)
      : work_(work),
        row_(row),
        place_(static_cast<int>(threadIdx.x % kLanes)),
        group_(static_cast<int>(threadIdx.x % 32 / kLanes)) {
    const int64_t video_row = row % work.rows - work.text_count;
    rotates_ = work.cos != nullptr && video_row >= 0;
    if (rotates_) {
#pragma unroll
      for (int i = 0; i < Vector::kWidth; ++i) {
        const int64_t angle = video_row * work.dim + place_ * Vector::kWidth + i;
        cos_[i] = work.cos[angle];
        sin_[i] = work.sin[angle];
      }
    }
  }

  __device__ void Run(int part) {
    LoadNorm(part);
    T* heads = static_cast<T*>(work_.qkv) + (row_ * 3 + part) * work_.heads * work_.dim;
#pragma unroll 4
    for (int64_t first = 0; first < work_.heads; first += 32 / kLanes) {
      // Lanes past the last head work on it again, so that the whole warp takes part in the sums.
      const int64_t wanted = first + group_;
      const int64_t head = wanted < work_.heads ? wanted : work_.heads - 1;
      Vector x = Vector::Load(heads + head * work_.dim, place_);
      Norm(x);
      if (rotates_) Rotate(x);
      if (wanted < work_.heads) x.Store(heads + head * work_.dim, place_);
    }
  }

 private:
  __device__ void LoadNorm(int part) {
    weight_ =
        Vector::Load(static_cast<const T*>(part == kQ ? work_.q_weight : work_.k_weight), place_);
    bias_ = Vector::Load(static_cast<const T*>(part == kQ ? work_.q_bias : work_.k_bias), place_);
  }

  __device__ static float HeadSum(float value) {
#pragma unroll
    for (int lane = kLanes / 2; lane > 0; lane /= 2) {
      value += __shfl_xor_sync(0xffffffff, value, lane);
    }
    return value;
  }

  __device__ void Norm(Vector& x) const {
    float sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < Vector::kWidth; ++i) sum += x.x[i];
    const float mean = HeadSum(sum) / work_.dim;
#pragma unroll
    for (int i = 0; i < Vector::kWidth; ++i) squares += (x.x[i] - mean) * (x.x[i] - mean);
    const float inverse = rsqrtf(HeadSum(squares) / work_.dim + work_.epsilon);
#pragma unroll
    for (int i = 0; i < Vector::kWidth; ++i) {
      x.x[i] = (x.x[i] - mean) * inverse * weight_.x[i] + bias_.x[i];
    }
  }

  // Channels 2i and 2i + 1 turn together; a vector holds whole pairs.
  __device__ void Rotate(Vector& x) const {
#pragma unroll
    for (int i = 0; i < Vector::kWidth; i += 2) {
      const float even = x.x[i], odd = x.x[i + 1];
      x.x[i] = even * cos_[i] - odd * sin_[i];
      x.x[i + 1] = odd * cos_[i + 1] + even * sin_[i + 1];
    }
  }

  const HeadWork& work_;
  const int64_t row_;  // of all batch entries
  const int place_;    // of this lane's vector within a head
  const int group_;
  bool rotates_ = false;
  float cos_[Vector::kWidth], sin_[Vector::kWidth];
  Vector weight_, bias_;
};

template <typename T, int kLanes>
__global__ void __launch_bounds__(32 * kWarpsPerBlock)
    RunHeads(const __grid_constant__ HeadWork work) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / 32;
  if (row >= work.batch * work.rows) return;
  HeadRow<T, kLanes> heads(work, row);
  heads.Run(kQ);
  heads.Run(kK);
}

template <typename T, int kLanes>
bool Launch(const HeadWork& work) {
  const int64_t rows = work.batch * work.rows;
  const auto blocks = static_cast<unsigned>((rows + kWarpsPerBlock - 1) / kWarpsPerBlock);
  RunHeads<T, kLanes>
      <<<blocks, 32 * kWarpsPerBlock, 0, static_cast<cudaStream_t>(work.stream)>>>(work);
  return cudaGetLastError() == cudaSuccess;
}

template <typename T>
bool LaunchType(const HeadWork& work) {
  switch (work.dim * static_cast<int64_t>(sizeof(T)) / 16) {
    case 1:
      return Launch<T, 1>(work);
    case 2:
      return Launch<T, 2>(work);
    case 4:
      return Launch<T, 4>(work);
    case 8:
      return Launch<T, 8>(work);
    case 16:
      return Launch<T, 16>(work);
    case 32:
      return Launch<T, 32>(work);
    default:
      return false;
  }
}

}  // namespace

bool LaunchHeadWork(const HeadWork& work) {
  if (work.batch * work.rows * work.heads == 0) return true;
  return WithElement(work.type, [&](auto element) { return LaunchType<decltype(element)>(work); });
}

}  // namespace cogwheel
