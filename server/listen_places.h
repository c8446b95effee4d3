#pragma once

#include <absl/status/status.h>

#include "cogwheel/config/v1/config.pb.h"

namespace cogwheel {

// Whether this server could listen wherever `config` says. Before anything of it exists: a start
// that is refused leaves nothing behind.
absl::Status CheckListenPlaces(const config::v1::ServerConfig& config);

}  // namespace cogwheel
