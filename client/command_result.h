#pragma once

#include <string>

#include <absl/status/status.h>

#include "client/exit_code.h"

namespace cogwheel {

// How a command ended. `failure` is the one line for stderr, "" when there is nothing to say.
struct CommandResult {
  ExitCode exit_code = ExitCode::kDone;
  std::string failure;
};

inline CommandResult ResultOf(const absl::Status& status) {
  return {ExitCodeOf(status.code()), std::string(status.message())};
}

}  // namespace cogwheel
