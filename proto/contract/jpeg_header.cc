#include <algorithm>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "proto/contract/byte_order.h"
#include "proto/contract/exif.h"
#include "proto/contract/image_formats.h"

namespace cogwheel {
namespace {

enum Marker : uint64_t {
  kFrame0 = 0xC0,
  kHuffmanTables = 0xC4,
  kExtension = 0xC8,
  kArithmeticTables = 0xCC,
  kFrame15 = 0xCF,
  kRestart0 = 0xD0,
  kStart = 0xD8,
  kEnd = 0xD9,
  kScan = 0xDA,
  kQuantisers = 0xDB,
  kApplication0 = 0xE0,
  kApplication1 = 0xE1,
  kExtension0 = 0xF0,
  kExtension13 = 0xFD,
};

absl::Status Damaged(const std::string& why) {
  return ImageRefused(absl::StrCat("is a damaged JPEG file: ", why));
}

absl::Status NotTaken(const std::string& what) {
  return ImageRefused(absl::StrCat("is a JPEG file ", what,
                                   "; legal are baseline and progressive ones of 8 bits with 1, 3 "
                                   "or 4 colours; save it as such or as PNG"));
}

bool IsFrame(uint64_t marker) {  // SOF0..SOF15
  return marker >= kFrame0 && marker <= kFrame15 && marker != kHuffmanTables &&
         marker != kExtension && marker != kArithmeticTables;
}

bool StandsAlone(uint64_t marker) {  // nothing follows that states its length
  return (marker >= kRestart0 && marker <= kStart) || marker == kExtension ||
         (marker >= kExtension0 && marker <= kExtension13);
}

// How a frame is coded, where the decoder does not take that; empty: it does.
std::string_view CodingNotTaken(uint64_t marker) {
  switch (marker - kFrame0) {
    case 0:
    case 1:
    case 2:
    case 9:
    case 10:
      return "";
    case 3:
    case 11:
      return "with lossless coding";
    default:
      return "with hierarchical coding";
  }
}

// Segments: 0xFF, marker, length (2, itself included), data; after each scan header pixels, in
// which 0xFF is followed by 0 or a restart marker.
class JpegWalk {
 public:
  explicit JpegWalk(std::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<ImageHeader> Run() {
    at_ = 2;  // after the start marker
    for (;;) {
      at_ = bytes_.find('\xff', at_);
      if (at_ == bytes_.npos || at_ + 2 > bytes_.size()) return EndsEarly();
      const uint64_t marker = ReadBigEndian(bytes_, at_ + 1, 1);
      if (marker == 0xFF || marker == 0) {
        ++at_;  // a fill byte, or one of a scan
      } else if (StandsAlone(marker)) {
        at_ += 2;
      } else if (marker == kEnd) {
        if (scans_ == 0) return Damaged("it ends before its pixels");
        return Finish();
      } else if (const absl::Status status = ReadSegment(marker); !status.ok()) {
        return status;
      }
    }
  }

 private:
  // Far above what encoders write (about 10 scans); the decoder goes over all pixels for each.
  static constexpr int64_t kMostScans = 200, kMostScannedPixels = 1'000'000'000;

  absl::Status EndsEarly() const {
    return Damaged(scans_ == 0 ? "it ends early, before its pixels"
                               : "it ends early (no end marker behind its pixels)");
  }

  absl::Status ReadSegment(uint64_t marker) {
    constexpr size_t kHead = 4;
    if (marker < kFrame0) {
      return Damaged(absl::StrCat("it has a marker ", absl::Hex(0xFF00 | marker),
                                  " where a segment should begin"));
    }
    const uint64_t length = at_ + kHead <= bytes_.size() ? ReadBigEndian(bytes_, at_ + 2, 2) : 0;
    if (length < 2 || length > bytes_.size() - at_ - 2) return EndsEarly();
    const std::string_view data = bytes_.substr(at_ + kHead, length - 2);
    at_ += 2 + length;
    if (IsFrame(marker)) return ReadFrame(marker, data);
    if (marker == kScan) return ReadScan(data);
    if (scans_ > 0) return absl::OkStatus();
    if (marker == kApplication0) ReadApplication0(data);
    if (marker == kApplication1) ReadApplication1(data);
    return absl::OkStatus();
  }

  // Bits, height (2), width (2), colours; of each colour: id, sampling, quantiser.
  absl::Status ReadFrame(uint64_t marker, std::string_view data) {
    if (header_.width != 0) return Damaged("it has two frame headers");
    const std::string_view refused = CodingNotTaken(marker);
    if (!refused.empty()) return NotTaken(std::string(refused));
    const size_t colours = data.size() < 6 ? 0 : ReadBigEndian(data, 5, 1);
    if (data.size() != 6 + 3 * colours) return Damaged("its frame header has a wrong length");
    if (data[0] != 8) return NotTaken(absl::StrCat("of ", static_cast<int>(data[0]), " bits"));
    if (colours != 1 && colours != 3 && colours != 4) {
      return NotTaken(absl::StrCat("with ", colours, " colours"));
    }
    header_.height = static_cast<int>(ReadBigEndian(data, 1, 2));
    header_.width = static_cast<int>(ReadBigEndian(data, 3, 2));
    if (absl::Status status = CheckImageSize(header_.width, header_.height); !status.ok()) {
      return status;
    }
    colours_ = data.substr(6);
    return CheckSampling();
  }

  // The decoder enlarges a colour by whole factors.
  absl::Status CheckSampling() const {
    constexpr int kMostFactor = 4;
    int most_x = 1, most_y = 1;
    for (size_t at = 1; at < colours_.size(); at += 3) {
      most_x = std::max(most_x, colours_[at] >> 4 & 15);
      most_y = std::max(most_y, colours_[at] & 15);
    }
    for (size_t at = 1; at < colours_.size(); at += 3) {
      const int x = colours_[at] >> 4 & 15, y = colours_[at] & 15;
      if (x == 0 || y == 0 || x > kMostFactor || y > kMostFactor) {
        return Damaged(
            absl::StrCat("a colour's sampling is ", x, " x ", y, "; JPEG has 1 x 1 to 4 x 4"));
      }
      if (most_x % x != 0 || most_y % y != 0) {
        return NotTaken(absl::StrCat("whose colours are sampled ", x, " x ", y, " and ", most_x,
                                     " x ", most_y, ", no whole multiple"));
      }
    }
    return absl::OkStatus();
  }

  // Number of colours; of each: id, tables.
  absl::Status ReadScan(std::string_view data) {
    constexpr int kMostBlocks = 10;  // of a unit of interleaved colours; JPEG's own limit
    if (header_.width == 0) return Damaged("its pixels come before its frame header");
    const int64_t most_scans =
        std::min(kMostScans, kMostScannedPixels / header_.width / header_.height);
    if (++scans_ > most_scans) {
      return NotTaken(absl::StrCat("with more than ", most_scans, " scans"));
    }
    const size_t count = data.empty() ? 0 : ReadBigEndian(data, 0, 1);
    if (count == 0 || count > 4 || data.size() != 4 + 2 * count) {
      return Damaged("a scan header has a wrong length");
    }
    int blocks = 0;
    for (size_t i = 0; i < count; ++i) {
      size_t at = 0;
      while (at < colours_.size() && colours_[at] != data[1 + 2 * i]) at += 3;
      if (at == colours_.size()) return Damaged("a scan is of a colour that the picture lacks");
      blocks += (colours_[at + 1] >> 4 & 15) * (colours_[at + 1] & 15);
    }
    if (count > 1 && blocks > kMostBlocks) {
      return NotTaken(absl::StrCat("whose sampling makes units of ", blocks,
                                   " blocks (JPEG allows ", kMostBlocks, ")"));
    }
    return absl::OkStatus();
  }

  // JFIF's name and version, then the unit of its density.
  void ReadApplication0(std::string_view data) {
    if (data.size() >= 12 && data.starts_with("JFIF") && (data[7] == 1 || data[7] == 2)) {
      has_density_ = true;
    }
  }

  void ReadApplication1(std::string_view data) {
    constexpr std::string_view kExif("Exif\0\0", 6), kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
    if (data.starts_with(kExif)) exif_.append(exif_.empty() ? data : data.substr(kExif.size()));
    if (data.starts_with(kXmp)) xmp_ = data.substr(kXmp.size());
  }

  absl::StatusOr<ImageHeader> Finish() {
    const absl::StatusOr<int> orientation = ReadOrientation(exif_, xmp_);
    // Pillow looks for a density in EXIF where JFIF has none, and then passes over the damage.
    if (!orientation.ok() && has_density_) return orientation.status();
    header_.orientation = orientation.value_or(1);
    return header_;
  }

  const std::string_view bytes_;
  size_t at_ = 0;
  ImageHeader header_ = {.format = ImageFormat::kJpeg};
  std::string_view colours_;  // of the frame header
  int scans_ = 0;
  bool has_density_ = false;
  std::string exif_;  // a block may be spread over segments
  std::string_view xmp_;
};

}  // namespace

absl::StatusOr<ImageHeader> ReadJpegHeader(std::string_view bytes) { return JpegWalk(bytes).Run(); }

}  // namespace cogwheel
