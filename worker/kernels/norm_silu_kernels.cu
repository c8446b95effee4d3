#include "worker/kernels/norm_silu_kernels.h"

#include <cuda_runtime.h>

#include "worker/kernels/row_vector.cuh"

namespace cogwheel {
namespace {

constexpr int kThreads = 256;

// Sums of each channel over this block's pixels → scratch[block][sum | sum of squares][C].
// Thread t works on channel vector t % slots of pixels t / slots, t / slots + lanes, ...
template <typename T>
__global__ void __launch_bounds__(kThreads) SumChannels(const __grid_constant__ NormSiluWork work) {
  using Vector = RowVector<T>;
  constexpr int kWidth = Vector::kWidth;
  __shared__ float sums[2 * kThreads * kWidth];
  const int slots = static_cast<int>(work.channels / kWidth);
  const int lanes = kThreads / slots;
  const int slot = threadIdx.x % slots, lane = threadIdx.x / slots;
  const int64_t pixels = work.frames * work.height * work.width;
  const int64_t begin = pixels * blockIdx.x / gridDim.x;
  const int64_t end = pixels * (blockIdx.x + 1) / gridDim.x;
  float sum[kWidth] = {}, square[kWidth] = {};
  if (lane < lanes) {
#pragma unroll 4
    for (int64_t pixel = begin + lane; pixel < end; pixel += lanes) {
      const Vector x = Vector::Load(static_cast<const T*>(work.x) + pixel * work.channels, slot);
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        sum[k] += x.x[k];
        square[k] += x.x[k] * x.x[k];
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    sums[threadIdx.x * kWidth + k] = sum[k];
    sums[(kThreads + threadIdx.x) * kWidth + k] = square[k];
  }
  __syncthreads();
  // Over the lanes, in their order; place p is channel p of the first lane.
  float* mine = work.scratch + blockIdx.x * 2 * work.channels;
  for (int place = threadIdx.x; place < 2 * work.channels; place += kThreads) {
    const int half = place / static_cast<int>(work.channels);
    const int channel = place % static_cast<int>(work.channels);
    float total = 0;
    for (int i = 0; i < lanes; ++i) {
      total += sums[(half * kThreads + i * slots) * kWidth + channel];
    }
    mine[place] = total;
  }
}

// One block a group: from all sums to norm(x) = factor · x + summand of its channels.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    FinishNorm(const __grid_constant__ NormSiluWork work, int blocks) {
  __shared__ double sums[2][kThreads];
  const int64_t C = work.channels, of_group = C / work.groups;
  const int64_t first = blockIdx.x * of_group;
  double sum = 0, square = 0;
  for (int64_t i = threadIdx.x; i < blocks * of_group; i += kThreads) {
    const float* block = work.scratch + i / of_group * 2 * C;
    sum += block[first + i % of_group];
    square += block[C + first + i % of_group];
  }
  sums[0][threadIdx.x] = sum;
  sums[1][threadIdx.x] = square;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      sums[0][threadIdx.x] += sums[0][threadIdx.x + half];
      sums[1][threadIdx.x] += sums[1][threadIdx.x + half];
    }
  }
  __syncthreads();
  const double count = static_cast<double>(work.frames * work.height * work.width * of_group);
  const double mean = sums[0][0] / count;
  const double variance = fmax(sums[1][0] / count - mean * mean, 0.0);
  const double inverse = rsqrt(variance + work.epsilon);
  float* result = work.scratch + kNormBlocks * 2 * C;
  for (int64_t i = threadIdx.x; i < of_group; i += kThreads) {
    const int64_t channel = first + i;
    const double factor = inverse * ToFloat(static_cast<const T*>(work.weight)[channel]);
    result[channel] = static_cast<float>(factor);
    result[C + channel] =
        static_cast<float>(ToFloat(static_cast<const T*>(work.bias)[channel]) - mean * factor);
  }
}

__device__ inline int LatentFrame(int frame, int in, int out) {
  if (out <= 1 || out % 2 == 0) return frame * in / out;
  return frame == 0 ? 0 : 1 + (frame - 1) * (in - 1) / (out - 1);
}

// One vector of channels a thread; blockIdx.y counts rows of pixels over all frames.
template <typename T>
__global__ void __launch_bounds__(kThreads) ApplyNorm(const __grid_constant__ NormSiluWork work) {
  using Vector = RowVector<T>;
  const int64_t C = work.channels;
  const int slots = static_cast<int>(C) / Vector::kWidth;
  const int place = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int height = static_cast<int>(work.height), width = static_cast<int>(work.width);
  if (place >= width * slots) return;
  const int column = place / slots, slot = place % slots;
  const int frame = static_cast<int>(blockIdx.y) / height;
  const int row = static_cast<int>(blockIdx.y) % height;
  const int64_t pixel = static_cast<int64_t>(blockIdx.y) * width + column;
  Vector x = Vector::Load(static_cast<const T*>(work.x) + pixel * C, slot);
  const float* factor = work.scratch + kNormBlocks * 2 * C + slot * Vector::kWidth;
#pragma unroll
  for (int k = 0; k < Vector::kWidth; ++k) x.x[k] = x.x[k] * factor[k] + factor[C + k];
  if (work.scale != nullptr) {
    const int latent_height = static_cast<int>(work.latent_height);
    const int latent_width = static_cast<int>(work.latent_width);
    const int latent_frame =
        LatentFrame(frame, static_cast<int>(work.latent_frames), static_cast<int>(work.frames));
    const int64_t latent =
        (latent_frame * latent_height + row * latent_height / height) * latent_width +
        column * latent_width / width;
    const Vector scale = Vector::Load(static_cast<const T*>(work.scale) + latent * C, slot);
    const Vector shift = Vector::Load(static_cast<const T*>(work.shift) + latent * C, slot);
#pragma unroll
    for (int k = 0; k < Vector::kWidth; ++k) x.x[k] = x.x[k] * scale.x[k] + shift.x[k];
  }
#pragma unroll
  for (int k = 0; k < Vector::kWidth; ++k) x.x[k] = x.x[k] / (1 + __expf(-x.x[k]));
  x.Store(static_cast<T*>(work.out) + pixel * C, slot);
}

template <typename T>
bool Launch(const NormSiluWork& work) {
  const auto stream = static_cast<cudaStream_t>(work.stream);
  const int64_t pixels = work.frames * work.height * work.width;
  const int blocks = static_cast<int>(pixels < kNormBlocks ? pixels : kNormBlocks);
  SumChannels<T><<<blocks, kThreads, 0, stream>>>(work);
  FinishNorm<T><<<static_cast<unsigned>(work.groups), kThreads, 0, stream>>>(work, blocks);
  const int64_t vectors = work.width * (work.channels / RowVector<T>::kWidth);
  const dim3 grid(static_cast<unsigned>((vectors + kThreads - 1) / kThreads),
                  static_cast<unsigned>(work.frames * work.height));
  ApplyNorm<T><<<grid, kThreads, 0, stream>>>(work);
  return cudaGetLastError() == cudaSuccess;
}

}  // namespace

bool LaunchNormSilu(const NormSiluWork& work) {
  return WithElement(work.type, [&](auto element) { return Launch<decltype(element)>(work); });
}

}  // namespace cogwheel
