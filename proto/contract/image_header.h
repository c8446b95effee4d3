#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

// What a picture's file says of itself, read without decoding a pixel: the frontend refuses by it
// at submit, the rank decodes by it. Pure; the bytes are not trusted.
namespace cogwheel {

inline constexpr int64_t kMaxImageBytes = 16 * 1024 * 1024;
inline constexpr int kMaxImageSide = 8192;
inline constexpr int64_t kMaxImagePixels = 33'000'000;

enum class ImageFormat { kPng, kJpeg, kWebp };

struct ImageHeader {
  ImageFormat format = ImageFormat::kPng;
  int width = 0;  // as stored, before it is turned
  int height = 0;
  int orientation = 1;  // EXIF's: 1 (upright) to 8

  bool turned_sideways() const { return orientation >= 5; }
  int upright_width() const { return turned_sideways() ? height : width; }
  int upright_height() const { return turned_sideways() ? width : height; }
};

// Refuses, besides what is larger than the limits above, every coding that the decoders do not take
// and a file that ends within a part of it, before its pixels or, of a JPEG, without its end. A
// refusal's text continues "the image ...": "is a GIF file; ...".
absl::StatusOr<ImageHeader> ReadImageHeader(std::string_view bytes);

// INVALID_ARGUMENT with such a text.
absl::Status ImageRefused(const std::string& text);

// Refuses a size outside the limits; "is damaged" for one that no format can state.
absl::Status CheckImageSize(uint64_t width, uint64_t height);

}  // namespace cogwheel
