#pragma once

#include <cstdint>
#include <span>
#include <string>

// What a running job hands out, on world rank 0 only. Called by the rank thread; implemented in
// worker/rpc (and by tests). Must return quickly: an implementation copies and queues. No torch
// here.
namespace cogwheel {

enum class Stage { kTextEncode, kDenoise, kDecode };

class FrameSink {
 public:
  virtual ~FrameSink() = default;

  // `step` of `steps` of the stage are done; called with 0 when a stage begins.
  virtual void OnProgress(Stage stage, int step, int steps) = 0;

  // rgb: [height, width, 3] uint8, one frame of the predicted clean clip.
  virtual void OnPreview(std::span<const uint8_t> rgb, int height, int width, int step,
                         int steps) = 0;

  // Finished frames in order. rgb: [frame_count, height, width, 3] uint8.
  virtual void OnFrames(std::span<const uint8_t> rgb, int frame_count, int height, int width) = 0;

  // Instead of frames, for OutputKind::kLatent. values: [frames, channels, height, width] fp32.
  virtual void OnLatents(std::span<const float> values, int frames, int channels, int height,
                         int width) = 0;
};

}  // namespace cogwheel
