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

// A PNG, JPEG or WebP file as RGB, like diffusers' load_image, that is, Pillow's
// ImageOps.exif_transpose(Image.open(...)).convert("RGB"): turned as its orientation tag says,
// alpha dropped, palette and grey expanded, 16-bit colour cut to its high byte, 16-bit grey clipped
// at 255. Sizes are checked from the header before anything is decoded. INVALID_ARGUMENT for what
// the header refuses or is damaged. Memory and time are bounded by the pixels. The bytes are not
// trusted. Thread-safe.
absl::StatusOr<DecodedImage> DecodeImage(const std::string& bytes);

}  // namespace cogwheel
