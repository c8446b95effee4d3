#pragma once

#include <string_view>

#include <absl/status/status.h>

namespace cogwheel {

// Takes the setting log_format: "auto", "json" or "text"; "" is auto. INVALID_ARGUMENT names the
// nearest.
absl::Status UseLogFormat(std::string_view word);

}  // namespace cogwheel
