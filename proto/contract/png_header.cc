#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>
#include <zlib.h>

#include "proto/contract/byte_order.h"
#include "proto/contract/exif.h"
#include "proto/contract/image_formats.h"

namespace cogwheel {
namespace {

constexpr size_t kSignature = 8, kChunkHead = 8, kChecksum = 4;

absl::Status Damaged(const std::string& why) {
  return ImageRefused(absl::StrCat("is a damaged PNG file: ", why));
}

// A zlib stream up to the limit that Pillow sets for texts; nullopt if it is longer, what there is
// if it is cut off, nothing if it is damaged.
std::optional<std::string> Inflate(std::string_view deflated) {
  constexpr size_t kMostBytes = 1 << 20;
  std::string text(kMostBytes, '\0');
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(deflated.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const int code = inflate(&stream, Z_NO_FLUSH);
  const bool too_long = code == Z_OK && stream.avail_out == 0 && stream.avail_in > 0;
  text.resize(code < 0 ? 0 : stream.total_out);
  inflateEnd(&stream);
  if (too_long) return std::nullopt;
  return text;
}

// What ImageMagick writes into a text: a blank line, a name, a length, then hexadecimal digits.
std::optional<std::string> ReadRawProfile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const size_t end = text.find('\n');
    if (end == text.npos) return "";
    text.remove_prefix(end + 1);
  }
  constexpr std::string_view kDigits = "0123456789abcdef0123456789ABCDEF";
  std::string bytes;
  int half = -1;
  for (const char digit : text) {
    const size_t value = kDigits.find(digit);
    if (value == kDigits.npos) {
      if (half >= 0 && digit != '\n') return std::nullopt;
      if (std::string_view(" \t\n\r\f\v").find(digit) == std::string_view::npos) {
        return std::nullopt;
      }
    } else if (half < 0) {
      half = static_cast<int>(value % 16);
    } else {
      bytes.push_back(static_cast<char>(half << 4 | static_cast<int>(value % 16)));
      half = -1;
    }
  }
  if (half >= 0) return std::nullopt;
  return bytes;
}

// Walks the chunks: length (4), type (4), data, checksum (4).
class PngWalk {
 public:
  explicit PngWalk(std::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<ImageHeader> Run() {
    size_t at = kSignature;
    while (at + kChunkHead <= bytes_.size()) {
      const uint64_t length = ReadBigEndian(bytes_, at, 4);
      const std::string_view type = bytes_.substr(at + 4, 4);
      if (type == "IEND") break;
      if (!std::ranges::all_of(type,
                               [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; })) {
        if (has_pixels_) break;  // bytes behind a picture without an end
        return Damaged(absl::StrCat("no chunk begins at byte ", at));
      }
      if (length + kChecksum > bytes_.size() - at - kChunkHead) {
        return Damaged(absl::StrCat("it ends early, in its ", std::string(type), " chunk"));
      }
      const absl::Status status = Read(type, at, length);
      if (!status.ok()) return status;
      at += kChunkHead + length + kChecksum;
    }
    if (!has_pixels_) return Damaged("it ends early, before its pixels");
    return Finish();
  }

 private:
  struct Text {
    std::string_view bytes;
    bool deflated = false;
  };
  static std::optional<std::string> Unpacked(const Text& text) {
    return text.deflated ? Inflate(text.bytes) : std::string(text.bytes);
  }

  absl::Status Read(std::string_view type, size_t at, uint64_t length) {
    const std::string_view data = bytes_.substr(at + kChunkHead, length);
    if ((type == "IHDR") != (header_.width == 0)) {
      return Damaged(type == "IHDR" ? "it has two headers" : "it does not begin with its header");
    }
    if (type == "IDAT") {
      has_pixels_ = true;
      return absl::OkStatus();
    }
    const auto* summed = reinterpret_cast<const Bytef*>(bytes_.data() + at + 4);
    if (!has_pixels_ && crc32(0, summed, static_cast<uInt>(4 + length)) !=
                            ReadBigEndian(bytes_, at + kChunkHead + length, kChecksum)) {
      return Damaged(absl::StrCat("the checksum of its ", std::string(type), " chunk is wrong"));
    }
    if (type == "IHDR") return ReadHeader(data);
    if (type == "eXIf") exif_ = data;
    if (type == "tEXt" || type == "zTXt" || type == "iTXt") ReadText(type, data);
    return absl::OkStatus();
  }

  // Width, height (4 each), bits, colour type, compression, filter, interlacing.
  absl::Status ReadHeader(std::string_view data) {
    if (data.size() < 13) return Damaged("its header is too short");
    const uint64_t width = ReadBigEndian(data, 0, 4), height = ReadBigEndian(data, 4, 4);
    if (absl::Status status = CheckImageSize(width, height); !status.ok()) return status;
    const int bits = data[8], colour = data[9];
    static constexpr std::array<std::string_view, 7> kBits = {
        {{"\1\2\4\10\20"}, {}, {"\10\20"}, {"\1\2\4\10"}, {"\10\20"}, {}, {"\10\20"}}};
    if (colour < 0 || colour > 6 || kBits[colour].find(data[8]) == std::string_view::npos) {
      return Damaged(absl::StrCat("its header states colour type ", colour, " with ", bits,
                                  " bits, which PNG does not have"));
    }
    if (data[10] != 0 || data[11] != 0 || static_cast<unsigned char>(data[12]) > 1) {
      return Damaged(
          "its header states a compression, filter or interlacing that PNG does not have");
    }
    header_.width = static_cast<int>(width);
    header_.height = static_cast<int>(height);
    return absl::OkStatus();
  }

  // Keyword, 0, then: the text; 0, deflated text; flag, 0, language, 0, keyword, 0, text.
  void ReadText(std::string_view type, std::string_view data) {
    const size_t end = data.find('\0');
    if (end == data.npos) return;
    const std::string_view key = data.substr(0, end);
    data.remove_prefix(end + 1);
    if (key == "exif" && type == "tEXt") exif_ = data;
    const bool profile = key == "Raw profile type exif";
    if (!profile && key != "XML:com.adobe.xmp") return;
    bool deflated = type == "zTXt";
    if (type == "iTXt") {
      if (data.size() < 2) return;
      deflated = data[0] != '\0';
      for (int part = 0; part < 2; ++part) {
        const size_t next = data.find('\0', part == 0 ? 2 : 0);
        if (next == data.npos) return;
        data.remove_prefix(next + 1);
      }
    } else if (deflated && !data.empty()) {
      data.remove_prefix(1);  // the method
    }
    (profile ? profile_ : xmp_) = Text{data, deflated};
  }

  absl::StatusOr<ImageHeader> Finish() {
    const std::optional<std::string> xmp = Unpacked(xmp_), profile = Unpacked(profile_);
    if (!xmp || !profile) return Damaged("a text of its metadata is over 1 MiB");
    const std::optional<std::string> exif = exif_ ? std::string(*exif_) : ReadRawProfile(*profile);
    if (!exif) return Damaged("its text 'Raw profile type exif' is not hexadecimal");
    const absl::StatusOr<int> orientation = ReadOrientation(*exif, *xmp);
    if (!orientation.ok()) return orientation.status();
    header_.orientation = *orientation;
    return header_;
  }

  const std::string_view bytes_;
  ImageHeader header_ = {.format = ImageFormat::kPng};
  bool has_pixels_ = false;
  std::optional<std::string_view> exif_;
  Text profile_, xmp_;  // the last of each, inflated only then: a file may hold thousands
};

}  // namespace

absl::StatusOr<ImageHeader> ReadPngHeader(std::string_view bytes) { return PngWalk(bytes).Run(); }

}  // namespace cogwheel
