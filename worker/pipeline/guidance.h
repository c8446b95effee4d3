#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace cogwheel {

// The scale of one step (reference pipeline_cogvideox.py, __call__): `scale` itself, or with
// dynamic_cfg 1 + scale * (1 - cos(pi * ((N - t) / N)^5)) / 2, where t is the timestep value
// (999...), not the step's index: the reference's jagged schedule.
double GuidanceScaleAt(double scale, bool dynamic_cfg, int steps, int64_t timestep);

// negative + scale * (positive - negative); all fp32 and of one shape.
at::Tensor Guide(const at::Tensor& negative, const at::Tensor& positive, double scale);

}  // namespace cogwheel
