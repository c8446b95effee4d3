#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/families/model_description.h"

// A job as the pipeline sees it: plain values, all filled in and legal for the model. No torch, no
// protobuf.
namespace cogwheel {

enum class OutputKind { kVideo, kFrames, kLatent };

struct JobSpec {
  std::string job;  // jobs/<id>, for messages only
  int64_t epoch = 0;
  int64_t job_sequence = 0;
  std::string prompt;
  std::string negative_prompt;
  bool has_image = false;
  std::vector<uint8_t> image_rgb;  // world rank 0 only: decoded, [image_height, image_width, 3]
  int image_height = 0;
  int image_width = 0;
  int frames = 0;  // pixel frames
  int height = 0;  // pixels
  int width = 0;   // pixels
  int fps = 0;
  int steps = 0;
  double guidance_scale = 0;  // <= 1: no guidance
  bool dynamic_cfg = false;
  SchedulerKind scheduler = SchedulerKind::kDdim;
  uint64_t seed = 0;
  int max_sequence_length = 0;  // text tokens
  bool vae_tiling = false;
  OutputKind output = OutputKind::kVideo;
  int preview_every = 0;  // steps between previews; 0 = none

  bool guided() const { return guidance_scale > 1; }
};

}  // namespace cogwheel
