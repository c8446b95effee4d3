#include "worker/media/image_decoder.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/image_header.h"
#include "worker/media/image_formats.h"

namespace cogwheel {
namespace {

// By EXIF's orientation: 2 mirrored, 3 upside down, 4 both, 5 to 8 the same with rows and columns
// exchanged. Row r, column c of the result is stored at row r', column c':
//   2: r, W-1-c    3: H-1-r, W-1-c    4: H-1-r, c
//   5: c, r        6: H-1-c, r        7: H-1-c, W-1-r    8: c, W-1-r
std::vector<uint8_t> Turn(const std::vector<uint8_t>& stored, const ImageHeader& header) {
  const int turn = header.orientation;
  const bool rows_backwards = turn == 3 || turn == 4 || turn == 6 || turn == 7;
  const bool columns_backwards = turn == 2 || turn == 3 || turn == 7 || turn == 8;
  const ptrdiff_t row_bytes = ptrdiff_t{kRgb} * header.width;
  ptrdiff_t down = rows_backwards ? -row_bytes : row_bytes;
  ptrdiff_t right = columns_backwards ? -kRgb : kRgb;
  const uint8_t* line = stored.data();
  if (rows_backwards) line += row_bytes * (header.height - 1);
  if (columns_backwards) line += ptrdiff_t{kRgb} * (header.width - 1);
  if (header.turned_sideways()) std::swap(down, right);
  std::vector<uint8_t> upright(stored.size());
  uint8_t* out = upright.data();
  for (int y = 0; y < header.upright_height(); ++y, line += down) {
    const uint8_t* pixel = line;
    for (int x = 0; x < header.upright_width(); ++x, pixel += right) {
      out = std::copy_n(pixel, kRgb, out);
    }
  }
  return upright;
}

absl::Status DecodeByFormat(const std::string& bytes, const ImageHeader& header,
                            std::vector<uint8_t>& rgb) {
  switch (header.format) {
    case ImageFormat::kPng:
      return DecodePng(bytes, header, rgb);
    case ImageFormat::kJpeg:
      return DecodeJpeg(bytes, header, rgb);
    case ImageFormat::kWebp:
      return DecodeWebp(bytes, rgb);
  }
  return absl::InternalError("image of an unknown format");
}

}  // namespace

absl::StatusOr<DecodedImage> DecodeImage(const std::string& bytes) {
  const absl::StatusOr<ImageHeader> header = ReadImageHeader(bytes);
  if (!header.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("image ", header.status().message()));
  }
  DecodedImage image{.height = header->upright_height(), .width = header->upright_width()};
  image.rgb.resize(size_t{kRgb} * header->width * header->height);
  const absl::Status status = DecodeByFormat(bytes, *header, image.rgb);
  if (!status.ok()) return status;
  if (header->orientation != 1) image.rgb = Turn(image.rgb, *header);
  return image;
}

}  // namespace cogwheel
