#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "worker/families/model.h"
#include "worker/pipeline/noise.h"
#include "worker/pipeline/preview.h"
#include "worker/pipeline/scheduler.h"
#include "worker/pipeline/step_agreement.h"

namespace cogwheel {

// One job as the loop works on it; borrowed.
struct DenoiseJob {
  const JobSpec& spec;
  const Geometry& geometry;
  const LatentLayout& layout;
  const Denoiser::Job& denoiser;
  const SchedulerConfig& scheduler;
  const PreviewMap& preview;
  at::ScalarType dtype = at::kFloat;
  Communicator& world;
  StepAgreement& agreement;
  FrameSink& sink;
  std::atomic<int64_t>& work_counter;
  std::string& place;          // for messages: the step that runs
  double step_operations = 0;  // of this rank, added to `operations` after each step
  std::atomic<double>& operations;
};

// From noise to the last step, on this rank's rows of the latents in patch form (reference:
// pipeline_cogvideox.py, pipeline_cogvideox_image2video.py, the loop of __call__).
// Guided jobs run the batch [negative; positive], or one branch on each guidance half with one
// exchange of the prediction a step. Every step is agreed first.
//   text: [B, T_local, text_width], this rank's rows of its branches.
//   image_rows: [1, V_local, C·pt·p·p], the image's half of the model input; undefined without one.
//   noise: stands before the latents' draw; consumed like the reference does.
//   → [1, V_local, C·pt·p·p], model dtype.
at::Tensor Denoise(const DenoiseJob& job, const at::Tensor& text, const at::Tensor& image_rows,
                   NoiseStream& noise);

}  // namespace cogwheel
