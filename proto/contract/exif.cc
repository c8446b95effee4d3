#include "proto/contract/exif.h"

#include <cstring>
#include <iterator>
#include <optional>

#include "proto/contract/byte_order.h"
#include "proto/contract/image_header.h"

namespace cogwheel {
namespace {

constexpr uint64_t kOrientationTag = 274;
constexpr int kUpright = 1, kLastOrientation = 8;

// TIFF's field types.
enum FieldType : uint64_t {
  kShort = 3,
  kLong = 4,
  kRational = 5,
  kSignedByte = 6,
  kSignedShort = 8,
  kSignedLong = 9,
  kSignedRational = 10,
  kFloat = 11,
  kDouble = 12,
  kDirectory = 13,
  kLong8 = 16,
};

// Bytes of one value; nullopt for types that Pillow does not know.
std::optional<uint64_t> UnitBytes(uint64_t type) {
  static constexpr int kBytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};
  if (type >= std::size(kBytes) || kBytes[type] == 0) return std::nullopt;
  return kBytes[type];
}

// The first directory of a TIFF block.
class TiffDirectory {
 public:
  explicit TiffDirectory(std::string_view block) : block_(block), big_(block.starts_with("MM")) {}

  static bool HasHeader(std::string_view block) {
    static constexpr std::string_view kHeaders[] = {
        {"MM\0*", 4}, {"II*\0", 4}, {"MM*\0", 4}, {"II\0*", 4}};
    if (block.size() < 8) return false;
    for (const std::string_view header : kHeaders) {
      if (block.starts_with(header)) return true;
    }
    return false;
  }

  // Whether there is an orientation tag, and its value if that is a number from 2 to 8.
  struct Found {
    bool tag = false;
    int orientation = kUpright;
  };
  Found FindOrientation() {
    constexpr size_t kEntryBytes = 12;
    size_t at = Read(4, 4);
    if (!Holds(at, 2)) return {};
    const uint64_t count = Read(at, 2);
    at += 2;
    for (uint64_t i = 0; i < count && Holds(at, kEntryBytes); ++i, at += kEntryBytes) {
      const uint64_t tag = Read(at, 2), type = Read(at + 2, 2);
      const std::optional<uint64_t> unit = UnitBytes(type);
      if (!unit.has_value()) continue;
      const uint64_t size = *unit * Read(at + 4, 4);
      size_t value = at + 8;
      if (size > 4) {
        // As Pillow: values that could not all lie in the block are passed over, one that runs
        // past its end ends the reading.
        value_bytes_ += size;
        if (value_bytes_ > block_.size()) continue;
        value = Read(at + 8, 4);
        if (!Holds(value, size)) return {};
      }
      if (tag == kOrientationTag && size > 0) return {true, Value(type, value)};
    }
    return {};
  }

 private:
  bool Holds(size_t at, size_t count) const {
    return at <= block_.size() && count <= block_.size() - at;
  }
  uint64_t Read(size_t at, size_t count) const {
    return big_ ? ReadBigEndian(block_, at, count) : ReadLittleEndian(block_, at, count);
  }

  // The value at `at` if it is one that turns a picture.
  int Value(uint64_t type, size_t at) const {
    for (int turn = kUpright + 1; turn <= kLastOrientation; ++turn) {
      if (Equals(type, at, turn)) return turn;
    }
    return kUpright;
  }

  // Python compares numbers of all types by value; bytes and texts equal none.
  bool Equals(uint64_t type, size_t at, int turn) const {
    switch (type) {
      case kShort:
      case kSignedShort:
        return Read(at, 2) == static_cast<uint64_t>(turn);
      case kSignedByte:
        return Read(at, 1) == static_cast<uint64_t>(turn);
      case kLong:
      case kSignedLong:
      case kDirectory:
        return Read(at, 4) == static_cast<uint64_t>(turn);
      case kLong8:
        return Read(at, 8) == static_cast<uint64_t>(turn);
      case kRational:
        return Read(at + 4, 4) != 0 && Read(at, 4) == turn * Read(at + 4, 4);
      case kSignedRational: {
        const auto over = static_cast<int32_t>(Read(at, 4));
        const auto under = static_cast<int32_t>(Read(at + 4, 4));
        return under != 0 && over == int64_t{turn} * under;
      }
      case kFloat:
        return AsFloat<float, uint32_t>(at) == static_cast<float>(turn);
      case kDouble:
        return AsFloat<double, uint64_t>(at) == turn;
      default:
        return false;
    }
  }

  template <typename Float, typename Bits>
  Float AsFloat(size_t at) const {
    const auto bits = static_cast<Bits>(Read(at, sizeof(Bits)));
    Float value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

  const std::string_view block_;
  const bool big_;
  uint64_t value_bytes_ = 0;
};

// tiff:Orientation="6" or <tiff:Orientation>6, the first with a digit.
int XmpOrientation(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (size_t at = xmp.find(kName); at != xmp.npos; at = xmp.find(kName, at + 1)) {
    std::string_view rest = xmp.substr(at + kName.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with(">")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (rest.empty() || rest[0] < '0' || rest[0] > '9') continue;
    const int value = rest[0] - '0';
    return value >= kUpright && value <= kLastOrientation ? value : kUpright;
  }
  return kUpright;
}

}  // namespace

absl::StatusOr<int> ReadOrientation(std::string_view exif, std::string_view xmp) {
  constexpr std::string_view kPrefix("Exif\0\0", 6);
  for (int i = 0; i < 2 && exif.starts_with(kPrefix); ++i) exif.remove_prefix(kPrefix.size());
  if (exif.empty()) return XmpOrientation(xmp);
  if (!TiffDirectory::HasHeader(exif)) {
    return ImageRefused(
        "has damaged EXIF data (no TIFF header): which way up it belongs cannot be told; save it "
        "again, or without EXIF");
  }
  const TiffDirectory::Found found = TiffDirectory(exif).FindOrientation();
  return found.tag ? found.orientation : XmpOrientation(xmp);
}

}  // namespace cogwheel
