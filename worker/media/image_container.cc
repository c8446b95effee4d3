#include "worker/media/image_container.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include <absl/strings/str_cat.h>
#include <zlib.h>

namespace cogwheel {
namespace {

uint32_t ReadBigEndian(std::string_view bytes, size_t offset, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  }
  return value;
}

absl::Status EndsEarly() {
  return absl::InvalidArgumentError("image is damaged: it ends too early");
}

absl::Status Refused(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("image is damaged: it has ", what));
}

// Inflates what it is given, only to count: 1000 bytes of zeros cost the decoder as much as a
// megabyte of pixels.
class InflateCounter {
 public:
  InflateCounter() { valid_ = inflateInit(&stream_) == Z_OK; }
  ~InflateCounter() { inflateEnd(&stream_); }
  InflateCounter(const InflateCounter&) = delete;
  InflateCounter& operator=(const InflateCounter&) = delete;

  // False once there are more than `most` bytes. Damage ends the count.
  bool Add(std::string_view deflated, uint64_t most) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
    stream_.avail_in = static_cast<uInt>(deflated.size());
    while (valid_ && stream_.avail_in > 0 && stream_.total_out <= most) {
      stream_.next_out = scratch_.data();
      stream_.avail_out = static_cast<uInt>(scratch_.size());
      valid_ = inflate(&stream_, Z_NO_FLUSH) == Z_OK;
    }
    return stream_.total_out <= most;
  }

 private:
  z_stream stream_ = {};
  bool valid_ = false;
  std::array<Bytef, 1 << 16> scratch_;
};

// Signature, then chunks: length (4), type (4), data, checksum (4).
absl::StatusOr<std::string> KeepPng(std::string_view bytes, int height, int width) {
  constexpr size_t kSignature = 8, kHead = 8, kChecksum = 4;
  constexpr std::string_view kKept[] = {"IHDR", "PLTE", "IDAT", "IEND"};
  // At most 8 bytes a pixel; interlacing adds no more than some bytes a row and some rows.
  const uint64_t most_inflated =
      (8 * static_cast<uint64_t>(width) + 64) * (static_cast<uint64_t>(height) + 8);
  InflateCounter counter;
  std::string kept(bytes.substr(0, kSignature));
  for (size_t at = kSignature; at + kHead <= bytes.size();) {
    const size_t length = ReadBigEndian(bytes, at, 4);
    const std::string_view type = bytes.substr(at + 4, 4);
    const std::string_view chunk = bytes.substr(at, kHead + length + kChecksum);
    if (std::ranges::find(kKept, type) != std::end(kKept)) kept.append(chunk);
    if (type == "IDAT" && !counter.Add(chunk.substr(kHead, length), most_inflated)) {
      return Refused("more data than pixels");
    }
    if (type == "IEND") break;
    at += chunk.size();
  }
  return kept;
}

enum Marker : uint32_t {
  kHuffmanTables = 0xC4,
  kExtension = 0xC8,
  kArithmeticTables = 0xCC,
  kRestart0 = 0xD0,
  kRestart7 = 0xD7,
  kStart = 0xD8,
  kEnd = 0xD9,
  kScan = 0xDA,
  kQuantisers = 0xDB,
  kRestartInterval = 0xDD,
  kAdobe = 0xEE,
  kLast = 0xFE,
};

bool IsFrameHeader(uint32_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != kHuffmanTables && marker != kExtension &&
         marker != kArithmeticTables;
}

bool EndsScan(uint32_t marker) {
  return marker >= 0xC0 && marker <= kLast && (marker < kRestart0 || marker > kRestart7);
}

// Whether the tables of a DQT segment, a byte and 64 values of one or two bytes each, fill it: the
// decoder would look for markers in what is over.
bool TablesFill(std::string_view tables) {
  size_t at = 0;
  while (at < tables.size()) at += 1 + (ReadBigEndian(tables, at, 1) >> 4 != 0 ? 128 : 64);
  return at == tables.size();
}

// Copies the segments of a JPEG file that a decoder needs.
class JpegWalk {
 public:
  explicit JpegWalk(std::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<std::string> Run() {
    at_ = 2;  // after the start marker
    while (at_ + 2 <= bytes_.size()) {
      const uint32_t marker = ReadBigEndian(bytes_, at_ + 1, 1);
      if (ReadBigEndian(bytes_, at_, 1) != 0xFF || marker == 0xFF) {
        ++at_;  // a stray or fill byte
      } else if (!EndsScan(marker) || marker == kStart) {
        at_ += 2;
      } else if (marker == kEnd) {
        return kept_.append(bytes_.substr(at_, 2));
      } else if (const absl::Status status = Segment(marker); !status.ok()) {
        return status;
      }
    }
    return EndsEarly();
  }

 private:
  // Far above what real files have; each scan may cost a pass over all pixels, each table some
  // microseconds.
  static constexpr int kMaxScans = 200;
  static constexpr size_t kMaxTableBytes = 256 * 1024;

  absl::Status Segment(uint32_t marker) {
    constexpr size_t kHead = 4;  // 0xFF, marker, length (2, itself included)
    const size_t length = at_ + kHead <= bytes_.size() ? ReadBigEndian(bytes_, at_ + 2, 2) : 0;
    if (length < 2 || at_ + 2 + length > bytes_.size()) {
      return EndsEarly();
    }
    const std::string_view segment = bytes_.substr(at_, 2 + length);
    at_ += segment.size();
    if (IsFrameHeader(marker) && ++frames_ > 1) return Refused("two frame headers");
    if (marker == kQuantisers && !TablesFill(segment.substr(kHead))) {
      return Refused("incomplete quantiser tables");
    }
    if (marker == kQuantisers || marker == kHuffmanTables) table_bytes_ += segment.size();
    if (table_bytes_ > kMaxTableBytes) return Refused("too many tables");
    // Adobe's segment tells RGB from YCbCr.
    const bool adobe = marker == kAdobe && segment.substr(kHead).starts_with("Adobe");
    if (IsFrameHeader(marker) || marker == kHuffmanTables || marker == kQuantisers ||
        marker == kRestartInterval || marker == kScan || adobe) {
      kept_.append(segment);
    }
    if (marker != kScan) return absl::OkStatus();
    if (++scans_ > kMaxScans) return Refused(absl::StrCat("more than ", kMaxScans, " scans"));
    KeepScanData();
    return absl::OkStatus();
  }

  // Entropy-coded bytes up to the next marker; 0xFF within them is followed by 0 or a restart.
  void KeepScanData() {
    size_t end = at_;
    while (end < bytes_.size() && !(bytes_[end] == '\xff' && end + 1 < bytes_.size() &&
                                    EndsScan(ReadBigEndian(bytes_, end + 1, 1)))) {
      ++end;
    }
    kept_.append(bytes_.substr(at_, end - at_));
    at_ = end;
  }

  const std::string_view bytes_;
  size_t at_ = 0;
  std::string kept_ = "\xff\xd8";
  int frames_ = 0;
  int scans_ = 0;
  size_t table_bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::string> KeepPixelData(const std::string& bytes, int height, int width) {
  return bytes.front() == '\xff' ? JpegWalk(bytes).Run() : KeepPng(bytes, height, width);
}

}  // namespace cogwheel
