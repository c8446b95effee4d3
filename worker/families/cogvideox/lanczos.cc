#include <algorithm>
#include <cmath>
#include <numbers>

#include "worker/families/cogvideox/image_input.h"

namespace cogwheel {
namespace {

constexpr int kChannels = 3;
constexpr int kPrecisionBits = 22;
constexpr double kSupport = 3;

double Sinc(double x) {
  if (x == 0) return 1;
  const double angle = x * std::numbers::pi;
  return std::sin(angle) / angle;
}

double Lanczos(double x) {
  return -kSupport <= x && x < kSupport ? Sinc(x) * Sinc(x / kSupport) : 0;
}

// What one output pixel takes from the input line.
struct Tap {
  int first = 0;
  std::vector<int32_t> weights;  // 22-bit fixed point
};

std::vector<Tap> MakeTaps(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kSupport * filter_scale;
  std::vector<Tap> taps(out);
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), in);
    std::vector<double> weights;
    double sum = 0;
    for (int x = first; x < end; ++x) {
      weights.push_back(Lanczos((x - center + 0.5) * (1.0 / filter_scale)));
      sum += weights.back();
    }
    taps[i].first = first;
    for (const double weight : weights) {
      const double fixed = (sum != 0 ? weight / sum : weight) * (1 << kPrecisionBits);
      taps[i].weights.push_back(static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return taps;
}

uint8_t ToByte(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kPrecisionBits, 0, 255));
}

// Resizes along one axis. Pixel (line, i) of the input is at line * line_stride + i * step.
struct Axis {
  int lines = 0;
  int in_line_stride = 0, in_step = 0;
  int out_line_stride = 0, out_step = 0;
};

void ResizeAxis(std::span<const uint8_t> in, const Axis& axis, const std::vector<Tap>& taps,
                std::vector<uint8_t>& out) {
  for (int line = 0; line < axis.lines; ++line) {
    for (size_t i = 0; i < taps.size(); ++i) {
      for (int channel = 0; channel < kChannels; ++channel) {
        int64_t sum = int64_t{1} << (kPrecisionBits - 1);
        size_t at = static_cast<size_t>(line) * axis.in_line_stride +
                    static_cast<size_t>(taps[i].first) * axis.in_step + channel;
        for (const int32_t weight : taps[i].weights) {
          sum += int64_t{weight} * in[at];
          at += axis.in_step;
        }
        out[static_cast<size_t>(line) * axis.out_line_stride + i * axis.out_step + channel] =
            ToByte(sum);
      }
    }
  }
}

RgbImage ResizeWidth(const RgbImage& image, int out_width) {
  if (out_width == image.width) return image;
  RgbImage wide{.height = image.height, .width = out_width};
  wide.rgb.resize(static_cast<size_t>(image.height) * out_width * kChannels);
  ResizeAxis(image.rgb,
             {.lines = image.height,
              .in_line_stride = image.width * kChannels,
              .in_step = kChannels,
              .out_line_stride = out_width * kChannels,
              .out_step = kChannels},
             MakeTaps(image.width, out_width), wide.rgb);
  return wide;
}

RgbImage ResizeHeight(const RgbImage& image, int out_height) {
  if (out_height == image.height) return image;
  const int row = image.width * kChannels;
  RgbImage tall{.height = out_height, .width = image.width};
  tall.rgb.resize(static_cast<size_t>(out_height) * row);
  ResizeAxis(image.rgb,
             {.lines = image.width,
              .in_line_stride = kChannels,
              .in_step = row,
              .out_line_stride = kChannels,
              .out_step = row},
             MakeTaps(image.height, out_height), tall.rgb);
  return tall;
}

}  // namespace

RgbImage ResizeLanczos(std::span<const uint8_t> rgb, int height, int width, int out_height,
                       int out_width) {
  const RgbImage image{.rgb = {rgb.begin(), rgb.end()}, .height = height, .width = width};
  // Pillow 13's choice, as measured from its results (older ones always took the width first).
  const bool height_first = out_height < height && 2 * (width - out_width) < height - out_height;
  if (height_first) return ResizeWidth(ResizeHeight(image, out_height), out_width);
  return ResizeHeight(ResizeWidth(image, out_width), out_height);
}

}  // namespace cogwheel
