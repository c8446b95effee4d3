#pragma once

#include <cstdint>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

inline constexpr int kSizeMultiple = 16;  // of height and width, pixels

// Of a video, in pixels.
struct VideoSize {
  int64_t height = 0, width = 0;

  bool operator==(const VideoSize&) const = default;
};

// The legal size that a caller would take for the one asked for: of about the same aspect, and of
// those the one with the least change. A side that is kept, because the caller did not give it,
// stays as it is unless no other side goes with it. What is legal already stays.
VideoSize NearestSize(VideoSize asked, const v1::ModelLimits& limits, bool keep_height,
                      bool keep_width);

}  // namespace cogwheel
