#pragma once

#include <string_view>

#include <absl/status/statusor.h>

#include "proto/contract/image_header.h"

// ReadImageHeader for one format each, the signature having been seen; size limits are not checked.
namespace cogwheel {

absl::StatusOr<ImageHeader> ReadPngHeader(std::string_view bytes);
absl::StatusOr<ImageHeader> ReadJpegHeader(std::string_view bytes);
absl::StatusOr<ImageHeader> ReadWebpHeader(std::string_view bytes);

// The first frame of a WebP file within its canvas; the only one of a still picture.
struct WebpFrame {
  int canvas_width = 0;
  int canvas_height = 0;
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  std::string_view data;  // its VP8 or VP8L chunk, with what follows
  std::string_view exif;  // of the file; empty: none
  std::string_view xmp;
};
absl::StatusOr<WebpFrame> FindWebpFrame(std::string_view bytes);

}  // namespace cogwheel
