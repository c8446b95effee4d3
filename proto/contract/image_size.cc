#include <cstdint>
#include <limits>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "proto/contract/validate.h"

namespace cogwheel {
namespace {

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kJpegStart = "\xff\xd8";

// Big-endian value of `count` bytes at `offset`; the caller has checked the range.
uint32_t ReadBigEndian(std::string_view bytes, size_t offset, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  }
  return value;
}

absl::StatusOr<ImageSize> Checked(uint32_t width, uint32_t height) {
  constexpr uint32_t kMost = std::numeric_limits<int>::max();
  if (width == 0 || height == 0 || width > kMost || height > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image header states ", width, " x ", height, " pixels"));
  }
  return ImageSize{static_cast<int>(width), static_cast<int>(height)};
}

// Signature, then the IHDR chunk: length 13, type, width, height.
absl::StatusOr<ImageSize> ReadPng(std::string_view bytes) {
  constexpr size_t kLength = 8, kType = 12, kWidth = 16, kHeight = 20, kEnd = 24;
  if (bytes.size() < kEnd || ReadBigEndian(bytes, kLength, 4) != 13 ||
      bytes.substr(kType, 4) != "IHDR") {
    return absl::InvalidArgumentError("the PNG has no header");
  }
  return Checked(ReadBigEndian(bytes, kWidth, 4), ReadBigEndian(bytes, kHeight, 4));
}

bool IsFrameHeader(uint32_t marker) {  // SOF0..SOF15 without DHT, JPG, DAC
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

bool HasNoLength(uint32_t marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8); }

// Segments until the frame header: 0xFF, marker, length (2, itself included), precision (1),
// height (2), width (2).
absl::StatusOr<ImageSize> ReadJpeg(std::string_view bytes) {
  const auto damaged = [] { return absl::InvalidArgumentError("the JPEG has no frame header"); };
  size_t offset = kJpegStart.size();
  while (offset + 4 <= bytes.size()) {
    if (ReadBigEndian(bytes, offset, 1) != 0xFF) return damaged();
    const uint32_t marker = ReadBigEndian(bytes, offset + 1, 1);
    if (marker == 0xFF || HasNoLength(marker)) {
      offset += marker == 0xFF ? 1 : 2;  // a fill byte, or a marker alone
      continue;
    }
    const size_t length = ReadBigEndian(bytes, offset + 2, 2);
    if (length < 2 || marker == 0xD9 || marker == 0xDA) return damaged();
    if (IsFrameHeader(marker)) {
      if (length < 8 || offset + 9 > bytes.size()) return damaged();
      return Checked(ReadBigEndian(bytes, offset + 7, 2), ReadBigEndian(bytes, offset + 5, 2));
    }
    offset += 2 + length;
  }
  return damaged();
}

}  // namespace

absl::StatusOr<ImageSize> ReadImageSize(const std::string& bytes) {
  const std::string_view view = bytes;
  if (view.starts_with(kPngSignature)) return ReadPng(view);
  if (view.starts_with(kJpegStart)) return ReadJpeg(view);
  return absl::InvalidArgumentError("the image is neither PNG nor JPEG");
}

}  // namespace cogwheel
