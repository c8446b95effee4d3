#pragma once

#include <absl/status/status.h>

#include "cogwheel/config/v1/config.pb.h"

namespace cogwheel {

// Whether this server could listen wherever `config` says, before anything of it exists: a start
// that is refused leaves nothing behind. Each place is tried alone: that two of them are the same
// is found out when the server listens.
absl::Status CheckListenPlaces(const config::v1::ServerConfig& config);

}  // namespace cogwheel
