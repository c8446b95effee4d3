#include "worker/pipeline/guidance.h"

#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

namespace cogwheel {

double GuidanceScaleAt(double scale, bool dynamic_cfg, int steps, int64_t timestep) {
  if (!dynamic_cfg) return scale;
  const double n = steps;
  const double power = std::pow((n - static_cast<double>(timestep)) / n, 5.0);
  return 1 + scale * ((1 - std::cos(std::numbers::pi * power)) / 2);
}

at::Tensor Guide(const at::Tensor& negative, const at::Tensor& positive, double scale) {
  return negative + scale * (positive - negative);
}

}  // namespace cogwheel
