#include "worker/media/mp4_header.h"

#include <optional>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "proto/contract/byte_order.h"

namespace cogwheel {
namespace {

constexpr size_t kHeadBytes = 8;  // of a box: size and type
// Of the version 0 of mvhd and mdhd, behind the head.
constexpr size_t kTimeScaleOffset = 12, kDurationOffset = 16;
constexpr size_t kTrackDurationOffset = 20;  // of tkhd

uint32_t Read32(std::string_view bytes, size_t at) {
  return static_cast<uint32_t>(ReadBigEndian(bytes, at, 4));
}

std::string Big32(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

// A head in memory; positions are those of boxes.
class Header {
 public:
  explicit Header(std::string bytes) : bytes_(std::move(bytes)) {}

  // The box that the path leads to; nothing when there is none.
  std::optional<size_t> Find(std::initializer_list<std::string_view> path) const {
    size_t begin = 0, end = bytes_.size();
    for (const std::string_view type : path) {
      const std::optional<size_t> found = FindIn(begin, end, type);
      if (!found.has_value()) return std::nullopt;
      begin = *found;
      end = begin + Read32(bytes_, begin);
      if (type != *(path.end() - 1)) begin += kHeadBytes;
    }
    return begin;
  }
  uint32_t Field(size_t box, size_t offset) const {
    return Read32(bytes_, box + kHeadBytes + offset);
  }
  void SetField(size_t box, size_t offset, uint32_t value) {
    bytes_.replace(box + kHeadBytes + offset, 4, Big32(value));
  }
  // At the front of a box, whose parents are `parents`.
  void Insert(size_t box, std::initializer_list<size_t> parents, const std::string& child) {
    const auto grow = [&](size_t at) {
      bytes_.replace(at, 4, Big32(Read32(bytes_, at) + static_cast<uint32_t>(child.size())));
    };
    for (const size_t parent : parents) grow(parent);
    grow(box);
    bytes_.insert(box + kHeadBytes, child);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::optional<size_t> FindIn(size_t begin, size_t end, std::string_view type) const {
    while (begin + kHeadBytes <= end) {
      const size_t size = Read32(bytes_, begin);
      if (size < kHeadBytes || size > end - begin) return std::nullopt;
      if (std::string_view(bytes_).substr(begin + 4, 4) == type) return begin;
      begin += size;
    }
    return std::nullopt;
  }

  std::string bytes_;
};

// Rounded up: the last frame is within.
uint32_t DurationIn(uint32_t time_scale, int64_t frames, int fps) {
  return static_cast<uint32_t>((frames * time_scale + fps - 1) / fps);
}

}  // namespace

absl::StatusOr<std::string> WithDuration(std::string bytes, int64_t frames, int fps) {
  Header header(std::move(bytes));
  const auto moov = header.Find({"moov"}), mvhd = header.Find({"moov", "mvhd"}),
             tkhd = header.Find({"moov", "trak", "tkhd"}),
             mdhd = header.Find({"moov", "trak", "mdia", "mdhd"}),
             mvex = header.Find({"moov", "mvex"});
  const bool whole = moov && mvhd && tkhd && mdhd && mvex;
  const auto is_version_0 = [&header](size_t box) { return header.Field(box, 0) >> 24 == 0; };
  if (!whole || !is_version_0(*mvhd) || !is_version_0(*tkhd) || !is_version_0(*mdhd)) {
    return absl::InternalError("the MP4 muxer's header is not as it was known");
  }
  const uint32_t movie = DurationIn(header.Field(*mvhd, kTimeScaleOffset), frames, fps);
  const uint32_t media = DurationIn(header.Field(*mdhd, kTimeScaleOffset), frames, fps);
  header.SetField(*mvhd, kDurationOffset, movie);
  header.SetField(*tkhd, kTrackDurationOffset, movie);
  header.SetField(*mdhd, kDurationOffset, media);
  const std::string version_and_flags(4, '\0');
  const std::string body = absl::StrCat("mehd", version_and_flags, Big32(movie));
  header.Insert(*mvex, {*moov}, Big32(static_cast<uint32_t>(4 + body.size())) + body);
  return header.Take();
}

}  // namespace cogwheel
