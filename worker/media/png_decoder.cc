// Pillow reads PNG with zlib and code of its own; so does this, because what is taken of damaged
// files (checksums, missing rows, palettes that are too short) is to be the same, and a library
// would add its own texts and its longjmp for what are two pages of code.
#include <algorithm>
#include <array>
#include <cstdlib>

#include <absl/strings/str_cat.h>
#include <zlib.h>

#include "proto/contract/byte_order.h"
#include "worker/media/image_formats.h"

namespace cogwheel {
namespace {

enum ColourType { kGrey = 0, kColour = 2, kPalette = 3, kGreyAlpha = 4, kColourAlpha = 6 };

// The rows of which a file consists: the whole picture, or one of Adam7's seven.
struct Pass {
  int x, y, step_x, step_y;
};
constexpr std::array<Pass, 1> kWhole = {{{0, 0, 1, 1}}};
constexpr std::array<Pass, 7> kInterlaced = {{{0, 0, 8, 8},
                                              {4, 0, 8, 8},
                                              {0, 4, 4, 8},
                                              {2, 0, 4, 4},
                                              {0, 2, 2, 4},
                                              {1, 0, 2, 2},
                                              {0, 1, 1, 2}}};

// The zlib stream that is spread over the IDAT chunks.
class PixelStream {
 public:
  explicit PixelStream(std::vector<std::string_view> chunks) : chunks_(std::move(chunks)) {
    valid_ = inflateInit(&stream_) == Z_OK;
  }
  ~PixelStream() { inflateEnd(&stream_); }
  PixelStream(const PixelStream&) = delete;
  PixelStream& operator=(const PixelStream&) = delete;

  enum class Outcome { kRow, kOver, kDamaged };
  // kOver: the stream ended after the row before.
  Outcome Read(std::vector<uint8_t>& row) {
    stream_.next_out = row.data();
    stream_.avail_out = static_cast<uInt>(row.size());
    while (valid_ && !over_ && stream_.avail_out > 0) {
      if (stream_.avail_in == 0 && !NextChunk()) return Outcome::kDamaged;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      over_ = code == Z_STREAM_END;
      valid_ = over_ || code == Z_OK || code == Z_BUF_ERROR;
    }
    if (!valid_) return Outcome::kDamaged;
    if (stream_.avail_out == 0) return Outcome::kRow;
    return stream_.avail_out == row.size() ? Outcome::kOver : Outcome::kDamaged;
  }

 private:
  bool NextChunk() {
    if (next_ == chunks_.size()) return false;
    const std::string_view chunk = chunks_[next_++];
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(chunk.data()));
    stream_.avail_in = static_cast<uInt>(chunk.size());
    return true;
  }

  const std::vector<std::string_view> chunks_;
  size_t next_ = 0;
  z_stream stream_ = {};
  bool valid_ = false;
  bool over_ = false;
};

uint8_t Paeth(int left, int up, int corner) {
  const int estimate = left + up - corner;
  const int to_left = std::abs(estimate - left), to_up = std::abs(estimate - up);
  const int to_corner = std::abs(estimate - corner);
  if (to_left <= to_up && to_left <= to_corner) return static_cast<uint8_t>(left);
  return static_cast<uint8_t>(to_up <= to_corner ? up : corner);
}

// Rows begin with their filter's byte. `pixel`: bytes from one to the next, at least 1. False for
// an unknown filter.
bool Unfilter(const std::vector<uint8_t>& above, std::vector<uint8_t>& row, size_t pixel) {
  const uint8_t filter = row[0];
  if (filter > 4) return false;
  for (size_t i = 1; i < row.size() && filter != 0; ++i) {
    const uint8_t left = i > pixel ? row[i - pixel] : 0, up = above[i];
    const uint8_t corner = i > pixel ? above[i - pixel] : 0;
    switch (filter) {
      case 1:
        row[i] += left;
        break;
      case 2:
        row[i] += up;
        break;
      case 3:
        row[i] += static_cast<uint8_t>((left + up) / 2);
        break;
      default:
        row[i] += Paeth(left, up, corner);
    }
  }
  return true;
}

class PngPicture {
 public:
  PngPicture(std::string_view bytes, const ImageHeader& header, std::vector<uint8_t>& rgb)
      : header_(header), rgb_(rgb) {
    constexpr size_t kSignature = 8, kHead = 8, kHeaderData = 13, kChecksum = 4;
    ReadHeader(bytes.substr(kSignature + kHead, kHeaderData));
    // Until the pixels end: what follows them was not looked at when the header was read.
    for (size_t at = kSignature; at + kHead <= bytes.size();) {
      const size_t length = ReadBigEndian(bytes, at, 4);
      const std::string_view type = bytes.substr(at + 4, 4);
      const std::string_view data = bytes.substr(at + kHead, length);
      if (type != "IDAT" && !pixels_.empty()) break;
      if (type == "PLTE") ReadPalette(data);
      if (type == "IDAT") pixels_.push_back(data);
      at += kHead + length + kChecksum;
    }
  }

  absl::Status Decode() {
    if (colour_ == kPalette) FillWith(palette_[0]);
    PixelStream stream(std::move(pixels_));
    if (!interlaced_) return DecodePass(stream, kWhole[0]).status();
    for (const Pass& pass : kInterlaced) {
      const absl::StatusOr<bool> more = DecodePass(stream, pass);
      if (!more.ok() || !*more) return more.status();
    }
    return absl::OkStatus();
  }

 private:
  using Pixel = std::array<uint8_t, kRgb>;

  void ReadHeader(std::string_view data) {
    bits_ = data[8];
    colour_ = static_cast<ColourType>(data[9]);
    interlaced_ = data[12] != 0;
    constexpr std::array<int, 7> kSamples = {1, 0, 3, 1, 2, 0, 4};
    pixel_bits_ = bits_ * kSamples[colour_];
  }

  // Colours that a short one lacks are black.
  void ReadPalette(std::string_view data) {
    const size_t colours = std::min(data.size() / kRgb, palette_.size());
    for (size_t i = 0; i < colours * kRgb; ++i) {
      palette_[i / kRgb][i % kRgb] = static_cast<uint8_t>(data[i]);
    }
  }

  // What Pillow shows where rows are missing: index 0.
  void FillWith(const Pixel& pixel) {
    for (size_t i = 0; i < rgb_.size(); ++i) rgb_[i] = pixel[i % kRgb];
  }

  // False if the pixels ended before their rows did; the rest stays as it is.
  absl::StatusOr<bool> DecodePass(PixelStream& stream, const Pass& pass) {
    const int width = (header_.width - pass.x + pass.step_x - 1) / pass.step_x;
    const int height = (header_.height - pass.y + pass.step_y - 1) / pass.step_y;
    if (width <= 0 || height <= 0) return true;
    std::vector<uint8_t> row(1 + (static_cast<size_t>(width) * pixel_bits_ + 7) / 8);
    std::vector<uint8_t> above(row.size(), 0);
    for (int y = 0; y < height; ++y) {
      const PixelStream::Outcome outcome = stream.Read(row);
      if (outcome == PixelStream::Outcome::kOver) return false;
      if (outcome == PixelStream::Outcome::kDamaged ||
          !Unfilter(above, row, std::max(1, pixel_bits_ / 8))) {
        return absl::InvalidArgumentError(absl::StrCat("image is a damaged PNG file: row ",
                                                       pass.y + y * pass.step_y, " of its ",
                                                       header_.height, " cannot be read"));
      }
      const size_t line = static_cast<size_t>(pass.y + y * pass.step_y) * header_.width;
      for (int x = 0; x < width; ++x) {
        std::ranges::copy(PixelAt(row.data() + 1, x),
                          rgb_.data() + kRgb * (line + pass.x + x * pass.step_x));
      }
      std::swap(row, above);
    }
    return true;
  }

  // As Pillow's convert("RGB"): alpha dropped, 16-bit colour cut to its high byte, 16-bit grey
  // without alpha clipped at 255.
  Pixel PixelAt(const uint8_t* row, int x) const {
    if (pixel_bits_ < 8) {
      const int bit = x * bits_;
      const int most = (1 << bits_) - 1;
      const int value = row[bit / 8] >> (8 - bits_ - bit % 8) & most;
      return colour_ == kPalette ? palette_[value] : Grey(value * 255 / most);
    }
    const int sample = bits_ / 8;
    const uint8_t* at = row + static_cast<ptrdiff_t>(x) * (pixel_bits_ / 8);
    if (colour_ == kPalette) return palette_[at[0]];
    if (colour_ == kGrey && sample == 2) return Grey(at[0] != 0 ? 255 : at[1]);
    if (colour_ == kGrey || colour_ == kGreyAlpha) return Grey(at[0]);
    return {at[0], at[sample], at[2 * sample]};
  }

  static Pixel Grey(int value) {
    const auto level = static_cast<uint8_t>(value);
    return {level, level, level};
  }

  const ImageHeader header_;
  std::vector<uint8_t>& rgb_;
  std::vector<std::string_view> pixels_;
  std::array<Pixel, 256> palette_ = {};
  int bits_ = 8;
  int pixel_bits_ = 8;
  ColourType colour_ = kGrey;
  bool interlaced_ = false;
};

}  // namespace

absl::Status DecodePng(std::string_view bytes, const ImageHeader& header,
                       std::vector<uint8_t>& rgb) {
  return PngPicture(bytes, header, rgb).Decode();
}

}  // namespace cogwheel
