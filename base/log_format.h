#pragma once

#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/log.h"

namespace cogwheel {

// Takes the setting log_format: "auto", "json" or "text"; "" is auto. INVALID_ARGUMENT names the
// nearest.
absl::Status UseLogFormat(std::string_view word);

// "info", "warning" or "error". INVALID_ARGUMENT names `what`, the word and the nearest.
absl::StatusOr<LogLevel> ParseLogLevel(std::string_view what, std::string_view word);

}  // namespace cogwheel
