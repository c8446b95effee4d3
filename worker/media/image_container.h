#pragma once

#include <string>

#include <absl/status/statusor.h>

namespace cogwheel {

// A PNG or JPEG file without the parts that its RGB does not need: a palette's alpha, texts,
// profiles, EXIF, segments of other applications. The decoder would unpack those, and a megabyte of
// them can unpack to gigabytes. `height` and `width`: what the file's header states. What is left
// costs at most some seconds, and memory in proportion to the pixels; INVALID_ARGUMENT for a file
// built to cost more (hundreds of scans, compressed data far beyond the pixels) and for a JPEG that
// ends early. Other damage is left for the decoder.
absl::StatusOr<std::string> KeepPixelData(const std::string& bytes, int height, int width);

}  // namespace cogwheel
