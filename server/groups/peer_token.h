#pragma once

#include <string>

#include <absl/status/statusor.h>

namespace cogwheel {

// By which the ranks of one epoch know each other: 16 random bytes. INTERNAL (RANDOM) when the
// system has none: a token that can be guessed is not given out.
absl::StatusOr<std::string> MakePeerToken();

}  // namespace cogwheel
