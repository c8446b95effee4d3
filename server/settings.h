#pragma once

#include <absl/status/statusor.h>

#include "cogwheel/config/v1/config.pb.h"

namespace cogwheel {

// The defaults of every setting.
config::v1::ServerConfig DefaultServerConfig();

// Fills in what follows from other settings (internal_listen) and checks all of them.
// INVALID_ARGUMENT names the flag, the value and what is legal.
absl::StatusOr<config::v1::ServerConfig> CheckServerConfig(config::v1::ServerConfig config);

}  // namespace cogwheel
