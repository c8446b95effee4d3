#pragma once

#include <ATen/core/Tensor.h>

namespace cogwheel {

// Whether no value is infinite or NaN: one boolean on the values' device, so that nobody waits for
// it here. One pass, and nothing of the values' size is allocated.
at::Tensor AllFinite(const at::Tensor& values);

}  // namespace cogwheel
