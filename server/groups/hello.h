#pragma once

#include <absl/status/status.h>

#include "cogwheel/internal/v1/rank_control.pb.h"

namespace cogwheel {

// A greeting that can be taken at all: a protocol, names that are no service's, a mesh of 1 to 1024
// ranks, a model with sane limits. Pure.
absl::Status CheckHello(const internal::v1::Hello& hello);

}  // namespace cogwheel
