#include "proto/contract/nearest_size.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace cogwheel {
namespace {

int64_t RoundDown(int64_t pixels) { return pixels / kSizeMultiple * kSizeMultiple; }

int64_t LongestSide(int64_t model_most, int64_t area) {
  // One that leaves no room for the shortest other side is legal nowhere.
  return std::max<int64_t>(RoundDown(std::min(model_most, area / kSizeMultiple)), kSizeMultiple);
}

// The multiples around a length; where the side is kept, itself.
std::pair<int64_t, int64_t> Around(double pixels, int64_t most, bool keep, int64_t asked) {
  if (keep) return {asked, asked};
  const int64_t below = std::max<int64_t>(RoundDown(static_cast<int64_t>(pixels)), kSizeMultiple);
  return {std::min(below, most), std::min(below + kSizeMultiple, most)};
}

// By factors: 16 less of 32 is more than 16 less of 480.
double Change(const VideoSize& from, const VideoSize& to) {
  const auto side = [](int64_t a, int64_t b) {
    return std::log(static_cast<double>(b) / static_cast<double>(std::max<int64_t>(a, 1)));
  };
  return std::hypot(side(from.height, to.height), side(from.width, to.width));
}

}  // namespace

VideoSize NearestSize(VideoSize asked, const v1::ModelLimits& limits, bool keep_height,
                      bool keep_width) {
  const int64_t area = std::max<int64_t>(limits.max_area(), kSizeMultiple * kSizeMultiple);
  const int64_t most_height = LongestSide(limits.max_height(), area);
  const int64_t most_width = LongestSide(limits.max_width(), area);
  const double height = static_cast<double>(std::max<int64_t>(asked.height, 1));
  const double width = static_cast<double>(std::max<int64_t>(asked.width, 1));
  const double fitting = std::min({1.0, static_cast<double>(most_height) / height,
                                   static_cast<double>(most_width) / width,
                                   std::sqrt(static_cast<double>(area) / (height * width))});
  const double scale = keep_height || keep_width ? 1.0 : fitting;
  const auto heights = Around(height * scale, most_height, keep_height, asked.height);
  const auto widths = Around(width * scale, most_width, keep_width, asked.width);
  VideoSize nearest;
  double least = std::numeric_limits<double>::infinity();
  const auto consider = [&](VideoSize size) {
    int64_t& free = keep_width ? size.height : size.width;
    free = std::min(free, RoundDown(area / (keep_width ? size.width : size.height)));
    if (size.height < kSizeMultiple || size.width < kSizeMultiple) return;
    const double change = Change(asked, size);
    if (change >= least) return;
    least = change;
    nearest = size;
  };
  for (const int64_t h : {heights.first, heights.second}) {
    for (const int64_t w : {widths.first, widths.second}) consider({h, w});
  }
  if (nearest.height > 0) return nearest;
  return NearestSize(asked, limits, /*keep_height=*/false, /*keep_width=*/false);
}

}  // namespace cogwheel
