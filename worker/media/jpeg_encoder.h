#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <absl/status/statusor.h>

namespace cogwheel {

// One RGB picture [height, width, 3] as a JPEG file, for previews. Thread-safe.
absl::StatusOr<std::string> EncodeJpeg(std::span<const uint8_t> rgb, int height, int width);

}  // namespace cogwheel
