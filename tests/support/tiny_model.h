#pragma once

#include "cogwheel/internal/v1/rank_control.pb.h"

namespace cogwheel {

// What ranks in tests say of their model: small, and everything a frontend asks for is there.
inline internal::v1::ModelInfo TinyModel() {
  internal::v1::ModelInfo model;
  model.set_name("tiny");
  model.set_digest("d");
  model.set_default_frames(9);
  model.set_default_height(32);
  model.set_default_width(32);
  model.set_default_fps(8);
  model.set_default_steps(4);
  model.set_default_guidance_scale(6);
  model.set_default_scheduler(internal::v1::SCHEDULER_DPM);
  model.set_frames_multiple(8);
  model.set_max_frames(49);
  model.set_max_area(1024);
  model.set_max_height(64);
  model.set_max_width(64);
  model.set_max_steps(200);
  model.set_max_text_tokens(16);
  return model;
}

}  // namespace cogwheel
