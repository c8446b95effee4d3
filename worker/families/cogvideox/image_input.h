#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace cogwheel {

// Bytes of a picture, [height, width, 3] RGB.
struct RgbImage {
  std::vector<uint8_t> rgb;
  int height = 0;
  int width = 0;
};

// Image.resize with LANCZOS of Pillow 13, byte for byte: one pass per axis, coefficients in 22-bit
// fixed point, each pass rounded to bytes; a pass that changes nothing is left out.
RgbImage ResizeLanczos(std::span<const uint8_t> rgb, int height, int width, int out_height,
                       int out_width);

// The conditioning picture as the pipeline hands it to the VAE (VideoProcessor.preprocess): resized
// to the clip's size, aspect not kept, 2·byte/255 − 1. → [1, 3, 1, out_height, out_width] fp32.
at::Tensor PrepareImage(std::span<const uint8_t> rgb, int height, int width, int out_height,
                        int out_width);

}  // namespace cogwheel
