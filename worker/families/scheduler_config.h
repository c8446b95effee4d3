#pragma once

#include <cstdint>
#include <string>

namespace cogwheel {

// The noise schedule that a model was trained on; fields as in diffusers' scheduler_config.json.
struct SchedulerConfig {
  int64_t num_train_timesteps = 1000;
  double beta_start = 0.00085;
  double beta_end = 0.012;
  std::string beta_schedule = "scaled_linear";
  bool set_alpha_to_one = true;
  std::string prediction_type = "epsilon";
  bool rescale_betas_zero_snr = false;
  double snr_shift_scale = 3.0;
};

}  // namespace cogwheel
