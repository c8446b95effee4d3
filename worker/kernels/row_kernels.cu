#include "worker/kernels/row_kernels.h"

#include <cuda_runtime.h>

#include "worker/kernels/row_vector.cuh"

namespace cogwheel {
namespace {

constexpr int kThreads = 128;  // of one row
constexpr int kWarps = kThreads / 32;

// Sum over the block, the same on every thread. `scratch`: kWarps floats.
__device__ float BlockSum(float value, float* scratch) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffff, value, lane);
  __syncthreads();  // whoever still reads the last sum
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) sum += scratch[warp];
  return sum;
}

template <typename T>
__device__ const T* Of(const BatchVector& vector, int64_t batch_idx) {
  return static_cast<const T*>(vector.data) + batch_idx * vector.batch_stride;
}

// One row a block; thread t holds vectors t, t + 128, ... of it in registers.
template <typename T, int kVectors>
class Row {
 public:
  using Vector = RowVector<T>;

  __device__ Row(const RowWork& work, int64_t row)
      : work_(work),
        count_(static_cast<int>(work.width / Vector::kWidth)),
        row_(row),
        batch_idx_(row / work.rows),
        is_text_(row % work.rows < work.text_count) {}

  __device__ void Load() {
    ForEach([&](int i, int idx) { values_[i] = Vector::Load(Begin(work_.residual), idx); });
  }

  __device__ void AddGated() {
    const T* gate = Of<T>(is_text_ ? work_.text_gate : work_.video_gate, batch_idx_);
    ForEach([&](int i, int idx) {
      const Vector update = Vector::Load(Begin(work_.update), idx);
      const Vector gates = Vector::Load(gate, idx);
#pragma unroll
      for (int k = 0; k < Vector::kWidth; ++k) values_[i].x[k] += gates.x[k] * update.x[k];
      values_[i].Store(Begin(work_.residual), idx);
      values_[i].RoundInPlace();  // the norm sees what the next reader of the residual sees
    });
  }

  __device__ void Norm(float* scratch) {
    const float mean = Reduce([](float x) { return x; }, scratch) / work_.width;
    const auto square = [mean](float x) { return (x - mean) * (x - mean); };
    const float inverse = rsqrtf(Reduce(square, scratch) / work_.width + work_.epsilon);
    const T* scale = Of<T>(is_text_ ? work_.text_scale : work_.video_scale, batch_idx_);
    const T* shift = Of<T>(is_text_ ? work_.text_shift : work_.video_shift, batch_idx_);
    ForEach([&](int i, int idx) {
      const Vector weight = Vector::Load(static_cast<const T*>(work_.norm_weight), idx);
      const Vector bias = Vector::Load(static_cast<const T*>(work_.norm_bias), idx);
      const Vector scales = Vector::Load(scale, idx), shifts = Vector::Load(shift, idx);
      Vector out;
#pragma unroll
      for (int k = 0; k < Vector::kWidth; ++k) {
        const float norm = (values_[i].x[k] - mean) * inverse * weight.x[k] + bias.x[k];
        out.x[k] = norm * (1 + scales.x[k]) + shifts.x[k];
      }
      out.Store(Begin(work_.normed), idx);
    });
  }

 private:
  __device__ T* Begin(void* rows) const { return static_cast<T*>(rows) + row_ * work_.width; }
  __device__ const T* Begin(const void* rows) const {
    return static_cast<const T*>(rows) + row_ * work_.width;
  }

  template <typename Work>
  __device__ void ForEach(const Work& work) {
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      const int idx = threadIdx.x + i * kThreads;
      if (idx < count_) work(i, idx);
    }
  }

  template <typename Term>
  __device__ float Reduce(const Term& term, float* scratch) {
    float sum = 0;
    ForEach([&](int i, int) {
#pragma unroll
      for (int k = 0; k < Vector::kWidth; ++k) sum += term(values_[i].x[k]);
    });
    return BlockSum(sum, scratch);
  }

  const RowWork& work_;
  const int count_;  // vectors of a row
  const int64_t row_, batch_idx_;
  const bool is_text_;
  Vector values_[kVectors];
};

template <typename T, int kVectors, bool kGated, bool kNormed>
__global__ void __launch_bounds__(kThreads) RunRows(const __grid_constant__ RowWork work) {
  __shared__ float scratch[kWarps];
  Row<T, kVectors> row(work, blockIdx.x);
  row.Load();
  if constexpr (kGated) row.AddGated();
  if constexpr (kNormed) row.Norm(scratch);
}

template <typename T, int kVectors>
bool LaunchVectors(const RowWork& work) {
  const auto blocks = static_cast<unsigned>(work.batch * work.rows);
  const auto stream = static_cast<cudaStream_t>(work.stream);
  if (work.update == nullptr) {
    RunRows<T, kVectors, false, true><<<blocks, kThreads, 0, stream>>>(work);
  } else if (work.normed == nullptr) {
    RunRows<T, kVectors, true, false><<<blocks, kThreads, 0, stream>>>(work);
  } else {
    RunRows<T, kVectors, true, true><<<blocks, kThreads, 0, stream>>>(work);
  }
  return cudaGetLastError() == cudaSuccess;
}

template <typename T>
bool LaunchType(const RowWork& work) {
  const int64_t bytes = work.width * static_cast<int64_t>(sizeof(T));
  const int64_t per_vector = 16 * kThreads;  // bytes of a row that the block holds in one vector
  if (bytes <= per_vector) return LaunchVectors<T, 1>(work);
  if (bytes <= 2 * per_vector) return LaunchVectors<T, 2>(work);
  if (bytes <= 3 * per_vector) return LaunchVectors<T, 3>(work);
  if (bytes <= 6 * per_vector) return LaunchVectors<T, 6>(work);
  return LaunchVectors<T, 8>(work);
}

}  // namespace

bool LaunchRowWork(const RowWork& work) {
  if (work.batch * work.rows == 0) return true;
  return WithElement(work.type, [&](auto element) { return LaunchType<decltype(element)>(work); });
}

}  // namespace cogwheel
