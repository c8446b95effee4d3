#pragma once

#include <cstdint>
#include <string>
#include <vector>

// What a checkpoint is, in plain values: for those who serve it as well as for those who compute.
namespace cogwheel {

enum class Dtype { kFp32, kBf16, kFp16 };
enum class SchedulerKind { kDdim, kDpm };

// What a checkpoint is and allows; read from its folder alone (config.json files, cogwheel.json,
// tensor headers). Limits and defaults follow "Models" and "Legal frames" of the contract.
struct ModelDescription {
  std::string name;
  std::string digest;  // hex SHA-256 over configurations, tokenizer and samples of each tensor
  int default_frames = 0, default_height = 0, default_width = 0, default_fps = 0, default_steps = 0;
  double default_guidance_scale = 0;
  SchedulerKind default_scheduler = SchedulerKind::kDdim;
  int frames_multiple = 8;  // legal frames: frames_multiple * k + 1
  int max_frames = 0;
  int64_t max_area = 0;  // height * width, pixels
  int max_height = 0, max_width = 0, max_steps = 0, max_text_tokens = 0;
  bool image_required = false;
  bool fixed_shape = false;           // learned position table
  Dtype stored_dtype = Dtype::kFp32;  // of the transformer's weights
  bool rotary = false;                // position embeddings; such models leave fp16's range
  std::string description;            // these three as in the public API's Model
  std::vector<std::string> sample_prompts, vocabulary;
};

}  // namespace cogwheel
