#include "proto/contract/image_header.h"

#include <optional>

#include <absl/strings/str_cat.h>

#include "proto/contract/image_formats.h"

namespace cogwheel {
namespace {

constexpr std::string_view kTaken = "neither PNG nor JPEG nor WebP; save it as one of these";

struct Signature {
  size_t offset;
  std::string_view bytes;
  std::string_view name;
};

// Formats that people try.
constexpr Signature kOthers[] = {
    {0, "GIF8", "a GIF file"},
    {0, "BM", "a BMP file"},
    {0, {"II*\0", 4}, "a TIFF file"},
    {0, {"MM\0*", 4}, "a TIFF file"},
    {4, "ftypavif", "an AVIF file"},
    {4, "ftypavis", "an AVIF file"},
    {4, "ftyphei", "a HEIC file"},
    {4, "ftyphev", "a HEIC file"},
    {4, "ftypmif1", "a HEIF file"},
    {4, "ftypmsf1", "a HEIF file"},
    {4, "ftyp", "a video"},
    {4, "JXL ", "a JPEG XL file"},
    {0, "\xff\x0a", "a JPEG XL file"},
    {4, "jP  ", "a JPEG 2000 file"},
    {0, "\xff\x4f\xff\x51", "a JPEG 2000 file"},
    {0, {"\0\0\1\0", 4}, "an icon file"},
    {0, "8BPS", "a Photoshop file"},
    {0, "%PDF", "a PDF file"},
    {0, "<svg", "an SVG file"},
    {0, "<?xml", "an XML or SVG file"},
    {0, "\x1a\x45\xdf\xa3", "a video"},
    {0, "qoif", "a QOI file"},
};

absl::StatusOr<ImageHeader> ReadByFormat(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return ReadPngHeader(bytes);
  if (bytes.starts_with("\xff\xd8\xff")) return ReadJpegHeader(bytes);
  if (bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP")) {
    return ReadWebpHeader(bytes);
  }
  for (const Signature& other : kOthers) {
    if (bytes.size() < other.offset || !bytes.substr(other.offset).starts_with(other.bytes)) {
      continue;
    }
    return ImageRefused(absl::StrCat("is ", std::string(other.name), ", ", std::string(kTaken)));
  }
  return ImageRefused(absl::StrCat("is ", std::string(kTaken)));
}

}  // namespace

absl::Status ImageRefused(const std::string& text) { return absl::InvalidArgumentError(text); }

absl::Status CheckImageSize(uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) {
    return ImageRefused(
        absl::StrCat("is damaged: its header states ", width, " x ", height, " pixels"));
  }
  const std::string size = absl::StrCat("has ", width, " x ", height, " pixels; at most ");
  if (width > kMaxImageSide || height > kMaxImageSide) {
    return ImageRefused(absl::StrCat(size, kMaxImageSide, " a side are legal"));
  }
  if (width * height > kMaxImagePixels) {
    return ImageRefused(absl::StrCat(size, kMaxImagePixels, " in all are legal"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ImageHeader> ReadImageHeader(std::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > kMaxImageBytes) {
    return ImageRefused(
        absl::StrCat("has ", bytes.size(), " bytes; at most ", kMaxImageBytes, " are legal"));
  }
  return ReadByFormat(bytes);
}

}  // namespace cogwheel
