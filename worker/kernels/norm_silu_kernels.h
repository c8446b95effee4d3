#pragma once

#include <cstdint>

#include "worker/kernels/row_kernels.h"

namespace cogwheel {

// GroupNorm, modulation and SiLU of one clip with channels innermost: x [T, H, W, C] → out, the
// same shape. C · element size is a multiple of 16, C at most kMaxNormChannels; data are 16-byte
// aligned. fp32 inside; sums run in one fixed order: bit-identical from run to run.
struct NormSiluWork {
  RowType type = RowType::kFp32;
  int64_t frames = 0, height = 0, width = 0, channels = 0, groups = 1;
  const void* x = nullptr;
  void* out = nullptr;
  const void* weight = nullptr;  // [C]
  const void* bias = nullptr;    // [C]
  double epsilon = 0;
  // [t, h, w, C]; null: none. The nearest one counts, see worker/kernels/norm_silu.h.
  const void* scale = nullptr;
  const void* shift = nullptr;
  int64_t latent_frames = 0, latent_height = 0, latent_width = 0;
  float* scratch = nullptr;  // kNormScratchFloats(C) of them
  void* stream = nullptr;    // cudaStream_t
};
inline constexpr int64_t kMaxNormChannels = 512;
inline constexpr int64_t kNormBlocks = 1056;  // 8 on each multiprocessor of an H100
// Each block's sums and sums of squares, then the factor and the summand of every channel.
inline constexpr int64_t kNormScratchFloats(int64_t channels) {
  return (kNormBlocks + 1) * 2 * channels;
}
// False when a launch was refused.
bool LaunchNormSilu(const NormSiluWork& work);

}  // namespace cogwheel
