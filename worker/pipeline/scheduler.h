#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/families/scheduler_config.h"
#include "worker/pipeline/job_spec.h"

namespace cogwheel {

// [num_train_timesteps] fp64: the products of (1 - beta), SNR-shifted first and rescaled to zero
// terminal SNR second.
at::Tensor AlphaBars(const SchedulerConfig& config);

// Timesteps of trailing spacing, exactly `steps` of them: np.round(np.arange(1000, 0, -1000/N)) - 1
// with NumPy's own float arithmetic. Where that list has an extra entry (first N = 61) its first N
// are kept.
std::vector<int64_t> TrailingTimesteps(int64_t train_steps, int steps);

// One job's walk from noise to sample: CogVideoXDDIMScheduler or CogVideoXDPMScheduler.
// Element-wise, so it works on any rows of the latents; keeps the previous clean prediction of
// those rows. Owned by the rank thread.
class Scheduler {
 public:
  Scheduler(const SchedulerConfig& config, SchedulerKind kind, int steps);

  const std::vector<int64_t>& timesteps() const { return timesteps_; }
  int steps() const { return static_cast<int>(timesteps_.size()); }

  // Standard normal tensors that the reference draws in this step; the last one is used, an earlier
  // one thrown away. DDIM: 0. DPM: 1 in the first step and where the step ends before timestep 0,
  // else 2.
  int DrawCount(int step_idx) const;

  struct Result {
    at::Tensor sample;  // before the cast to the model's dtype
    at::Tensor clean;   // predicted clean latents, fp32
  };
  // sample: model dtype. prediction: v, fp32. noise: the draw to use, in sample's dtype; undefined
  // for DDIM. All of one shape.
  Result Step(int step_idx, const at::Tensor& sample, const at::Tensor& prediction,
              const at::Tensor& noise);

 private:
  int64_t PreviousTimestep(int step_idx) const;
  bool SecondOrder(int step_idx) const;
  at::Tensor AlphaBar(int64_t timestep) const;  // 0-dim fp64; 1 (or the first) for timestep < 0
  Result StepDdim(int step_idx, const at::Tensor& sample, const at::Tensor& clean) const;
  Result StepDpm(int step_idx, const at::Tensor& sample, const at::Tensor& clean,
                 const at::Tensor& noise);

  const SchedulerKind kind_;
  const int64_t stride_;  // floor(train_steps / steps): the step back in time, not the next entry
  std::vector<int64_t> timesteps_;
  at::Tensor alpha_bars_;
  at::Tensor final_alpha_bar_;
  at::Tensor old_clean_;  // DPM: of the step before
};

}  // namespace cogwheel
