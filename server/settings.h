#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "cogwheel/config/v1/config.pb.h"

namespace cogwheel {

// The defaults of every setting that has a fixed one.
config::v1::ServerConfig DefaultServerConfig();

std::vector<SettingRange> ServerRanges();

// How cogwheel-server shows itself.
ProgramInfo ServerProgram(const std::string& versions);

// Fills in what follows from other settings (internal_listen) and checks all of them.
// INVALID_ARGUMENT names the flag, the value and what is legal.
absl::StatusOr<config::v1::ServerConfig> CheckServerConfig(config::v1::ServerConfig config);

}  // namespace cogwheel
