#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include "worker/families/cogvideox/config.h"
#include "worker/families/footprint.h"

namespace cogwheel {

// Of a whole CogVideoX model.
std::unique_ptr<Footprints> CogVideoXFootprints(const CheckpointConfigs& configs, at::Device device,
                                                at::ScalarType dtype);

}  // namespace cogwheel
