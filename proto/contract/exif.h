#pragma once

#include <string_view>

#include <absl/status/statusor.h>

namespace cogwheel {

// The orientation (1 to 8; 1 without one, or one out of range) that Pillow's exif_transpose finds
// in a picture's EXIF block or, if that has no such tag, in its XMP text; either may be empty. Tags
// that cannot be read are passed over as there; a refusal (see ReadImageHeader) where it raises:
// the block has no TIFF header. Pure.
absl::StatusOr<int> ReadOrientation(std::string_view exif, std::string_view xmp);

}  // namespace cogwheel
