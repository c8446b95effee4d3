#include "worker/pipeline/scheduler.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

// Half of the log of the signal-to-noise ratio; -inf at 0 and +inf at 1, as the formulas need.
at::Tensor HalfLogSnr(const at::Tensor& alpha_bar) {
  return at::log(at::pow(alpha_bar / (1 - alpha_bar), 0.5));
}

at::Tensor RescaleToZeroTerminalSnr(const at::Tensor& alpha_bars) {
  at::Tensor root = at::sqrt(alpha_bars);
  const at::Tensor first = root[0].clone();
  const at::Tensor last = root[-1].clone();
  root = (root - last) * (first / (first - last));
  return at::pow(root, 2);
}

}  // namespace

at::Tensor AlphaBars(const SchedulerConfig& config) {
  const at::Tensor betas =
      at::pow(at::linspace(std::sqrt(config.beta_start), std::sqrt(config.beta_end),
                           config.num_train_timesteps, at::TensorOptions(at::kDouble)),
              2);
  at::Tensor bars = at::cumprod(1.0 - betas, 0);
  bars = bars / (config.snr_shift_scale + (1 - config.snr_shift_scale) * bars);
  return config.rescale_betas_zero_snr ? RescaleToZeroTerminalSnr(bars) : bars;
}

std::vector<int64_t> TrailingTimesteps(int64_t train_steps, int steps) {
  if (steps < 1 || steps > train_steps) {
    throw std::invalid_argument("steps " + std::to_string(steps) + " is not within 1.." +
                                std::to_string(train_steps));
  }
  const double first = static_cast<double>(train_steps);
  const double ratio = first / steps;
  // np.arange computes its second element and extends by that difference, which is not -ratio.
  const double stride = (first - ratio) - first;
  std::vector<int64_t> timesteps;
  for (int i = 0; i < steps; ++i) {
    timesteps.push_back(static_cast<int64_t>(std::nearbyint(first + i * stride)) - 1);
  }
  return timesteps;
}

Scheduler::Scheduler(const SchedulerConfig& config, SchedulerKind kind, int steps)
    : kind_(kind),
      stride_(config.num_train_timesteps / std::max(steps, 1)),
      timesteps_(TrailingTimesteps(config.num_train_timesteps, steps)),
      alpha_bars_(AlphaBars(config)),
      final_alpha_bar_(config.set_alpha_to_one ? at::ones({}, at::TensorOptions(at::kDouble))
                                               : alpha_bars_[0]) {}

int64_t Scheduler::PreviousTimestep(int step_idx) const {
  return timesteps_.at(step_idx) - stride_;
}

at::Tensor Scheduler::AlphaBar(int64_t timestep) const {
  return timestep >= 0 ? alpha_bars_[timestep] : final_alpha_bar_;
}

bool Scheduler::SecondOrder(int step_idx) const {
  return step_idx > 0 && PreviousTimestep(step_idx) >= 0;
}

int Scheduler::DrawCount(int step_idx) const {
  switch (kind_) {
    case SchedulerKind::kDdim:
      return 0;
    case SchedulerKind::kDpm:
      break;
  }
  return SecondOrder(step_idx) ? 2 : 1;
}

// Every product below is (0-dim fp64) x (tensor): the tensor's dtype wins, with the reference's
// rounding.
Scheduler::Result Scheduler::Step(int step_idx, const at::Tensor& sample,
                                  const at::Tensor& prediction, const at::Tensor& noise) {
  const at::Tensor alpha_bar = AlphaBar(timesteps_.at(step_idx));
  const at::Tensor clean =
      at::pow(alpha_bar, 0.5) * sample - at::pow(1 - alpha_bar, 0.5) * prediction;
  switch (kind_) {
    case SchedulerKind::kDdim:
      return StepDdim(step_idx, sample, clean);
    case SchedulerKind::kDpm:
      break;
  }
  return StepDpm(step_idx, sample, clean, noise);
}

Scheduler::Result Scheduler::StepDdim(int step_idx, const at::Tensor& sample,
                                      const at::Tensor& clean) const {
  const at::Tensor alpha_bar = AlphaBar(timesteps_.at(step_idx));
  const at::Tensor alpha_bar_prev = AlphaBar(PreviousTimestep(step_idx));
  const at::Tensor a = at::pow((1 - alpha_bar_prev) / (1 - alpha_bar), 0.5);
  const at::Tensor b = at::pow(alpha_bar_prev, 0.5) - at::pow(alpha_bar, 0.5) * a;
  return {.sample = a * sample + b * clean, .clean = clean};
}

Scheduler::Result Scheduler::StepDpm(int step_idx, const at::Tensor& sample,
                                     const at::Tensor& clean, const at::Tensor& noise) {
  const at::Tensor alpha_bar = AlphaBar(timesteps_.at(step_idx));
  const at::Tensor alpha_bar_prev = AlphaBar(PreviousTimestep(step_idx));
  const at::Tensor lambda = HalfLogSnr(alpha_bar);
  const at::Tensor h = HalfLogSnr(alpha_bar_prev) - lambda;
  const at::Tensor m1 = at::pow((1 - alpha_bar_prev) / (1 - alpha_bar), 0.5) * at::exp(-h);
  const at::Tensor m2 = at::expm1(-2 * h) * at::pow(alpha_bar_prev, 0.5);
  const at::Tensor m_noise = at::pow(1 - alpha_bar_prev, 0.5) * at::pow(1 - at::exp(-2 * h), 0.5);

  at::Tensor direction = clean;
  if (SecondOrder(step_idx)) {
    const at::Tensor r = (lambda - HalfLogSnr(AlphaBar(timesteps_.at(step_idx - 1)))) / h;
    const at::Tensor m3 = 1 + 1 / (2 * r);
    const at::Tensor m4 = 1 / (2 * r);
    direction = m3 * clean - m4 * old_clean_;
  }
  old_clean_ = clean;
  return {.sample = m1 * sample - m2 * direction + m_noise * noise, .clean = clean};
}

}  // namespace cogwheel
