#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

namespace cogwheel {

struct DecodedImage {
  std::vector<uint8_t> rgb;  // [height, width, 3]
  int height = 0;
  int width = 0;
};

// A PNG or JPEG file as RGB, like Pillow's Image.open(...).convert("RGB"): alpha dropped, palette
// and grey expanded, 16-bit colour cut to its high byte, 16-bit grey clipped at 255; orientation
// tags ignored. Sizes are checked from the header before anything is decoded. INVALID_ARGUMENT for
// what is too large, damaged or neither. The bytes are not trusted. Thread-safe.
absl::StatusOr<DecodedImage> DecodeImage(const std::string& bytes);

}  // namespace cogwheel
