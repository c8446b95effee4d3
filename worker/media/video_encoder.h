#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace cogwheel {

struct VideoFormat {
  int width = 0;   // pixels, even
  int height = 0;  // pixels, even
  int fps = 0;
  int64_t frames = 0;  // of the whole clip: the file says at its beginning how long it is
};

// Takes bytes of the finished file in order; an error ends the encoding.
using ByteSink = std::function<absl::Status(std::span<const uint8_t>)>;

// RGB frames to fragmented MP4 (H.264 by OpenH264, BT.709), streamable while it is made. The bytes
// are a pure function of frames, format and build: no creation time, one encoder thread and slice,
// constant quantiser (coarser from a frame on that is too noisy for it), no frame skipping, the
// level that its size and rate need, a fragment of every `fps` frames, which is complete once its
// last frame is added. Owned by one thread.
class VideoEncoder {
 public:
  static absl::StatusOr<std::unique_ptr<VideoEncoder>> Create(const VideoFormat& format,
                                                              ByteSink sink);
  virtual ~VideoEncoder() = default;

  // rgb: [height, width, 3].
  virtual absl::Status AddFrame(std::span<const uint8_t> rgb) = 0;
  // Writes what is left. Nothing may be added afterwards.
  virtual absl::Status Finish() = 0;
};

inline constexpr char kVideoMediaType[] = "video/mp4";

}  // namespace cogwheel
