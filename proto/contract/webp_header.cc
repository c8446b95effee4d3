#include <optional>
#include <string_view>

#include <absl/strings/str_cat.h>

#include "proto/contract/byte_order.h"
#include "proto/contract/exif.h"
#include "proto/contract/image_formats.h"

namespace cogwheel {
namespace {

constexpr size_t kFileHead = 12;  // RIFF, size, WEBP
constexpr size_t kChunkHead = 8;  // name, size
constexpr uint64_t kExifFlag = 8, kXmpFlag = 4;

absl::Status Damaged(std::string_view why) {
  return ImageRefused(absl::StrCat("is a damaged WebP file: ", std::string(why)));
}

struct Chunk {
  std::string_view name;
  std::string_view data;
  size_t end = 0;  // of its bytes, padded to an even number
};

// The chunk at `at`; nullopt at the end of the bytes or where it runs past it.
std::optional<Chunk> ChunkAt(std::string_view bytes, size_t at) {
  if (at + kChunkHead > bytes.size()) return std::nullopt;
  const uint64_t size = ReadLittleEndian(bytes, at + 4, 4);
  if (size > bytes.size() - at - kChunkHead) return std::nullopt;
  return Chunk{bytes.substr(at, 4), bytes.substr(at + kChunkHead, size),
               at + kChunkHead + size + size % 2};
}

// Width and height in the head of a VP8 or VP8L chunk.
bool ReadBitstreamSize(const Chunk& chunk, WebpFrame& frame) {
  constexpr uint64_t kSide = 0x3FFF;
  const std::string_view data = chunk.data;
  if (chunk.name == "VP8 ") {
    if (data.size() < 10 || data.substr(3, 3) != "\x9d\x01\x2a") return false;
    frame.width = static_cast<int>(ReadLittleEndian(data, 6, 2) & kSide);
    frame.height = static_cast<int>(ReadLittleEndian(data, 8, 2) & kSide);
    return frame.width > 0 && frame.height > 0;
  }
  if (chunk.name != "VP8L" || data.size() < 5 || data[0] != '\x2f') return false;
  const uint64_t bits = ReadLittleEndian(data, 1, 4);
  frame.width = static_cast<int>(bits & kSide) + 1;
  frame.height = static_cast<int>(bits >> 14 & kSide) + 1;
  return true;
}

// A VP8 or VP8L chunk.
bool ReadBitstream(std::string_view bytes, const Chunk& chunk, WebpFrame& frame) {
  frame.data = bytes.substr(chunk.data.data() - bytes.data() - kChunkHead);
  return ReadBitstreamSize(chunk, frame);
}

// An ANMF chunk: x / 2, y / 2, width - 1, height - 1, duration (3 bytes each), flags; chunks, the
// last a VP8 or VP8L.
bool ReadAnimationFrame(std::string_view data, WebpFrame& frame) {
  constexpr size_t kHead = 16;
  std::optional<Chunk> chunk = data.size() < kHead ? std::nullopt : ChunkAt(data, kHead);
  if (chunk && chunk->name == "ALPH") chunk = ChunkAt(data, chunk->end);
  if (!chunk || !ReadBitstream(data, *chunk, frame)) return false;
  frame.x = 2 * static_cast<int>(ReadLittleEndian(data, 0, 3));
  frame.y = 2 * static_cast<int>(ReadLittleEndian(data, 3, 3));
  return ReadLittleEndian(data, 6, 3) + 1 == static_cast<uint64_t>(frame.width) &&
         ReadLittleEndian(data, 9, 3) + 1 == static_cast<uint64_t>(frame.height);
}

// A still picture must fill it.
bool FitsCanvas(const WebpFrame& frame, bool moving) {
  const int right = frame.x + frame.width, bottom = frame.y + frame.height;
  if (moving) return right <= frame.canvas_width && bottom <= frame.canvas_height;
  return right == frame.canvas_width && bottom == frame.canvas_height;
}

// The chunks behind a VP8X: the first frame, EXIF and XMP; no other is looked into.
absl::Status ReadExtended(std::string_view bytes, const Chunk& head, WebpFrame& frame) {
  if (head.data.size() < 10) return Damaged("its header is too short");
  const uint64_t flags = ReadLittleEndian(head.data, 0, 1);
  frame.canvas_width = static_cast<int>(ReadLittleEndian(head.data, 4, 3)) + 1;
  frame.canvas_height = static_cast<int>(ReadLittleEndian(head.data, 7, 3)) + 1;
  const absl::Status size = CheckImageSize(frame.canvas_width, frame.canvas_height);
  if (!size.ok()) return size;
  bool moving = false;
  for (size_t at = head.end; at < bytes.size();) {
    const std::optional<Chunk> chunk = ChunkAt(bytes, at);
    if (!chunk) return Damaged(absl::StrCat("its chunk at byte ", at, " runs past its end"));
    at = chunk->end;
    const std::string_view name = chunk->name;
    if (name == "EXIF" && (flags & kExifFlag) != 0 && frame.exif.empty()) frame.exif = chunk->data;
    if (name == "XMP " && (flags & kXmpFlag) != 0 && frame.xmp.empty()) frame.xmp = chunk->data;
    if (!frame.data.empty() || (name != "ANMF" && name != "VP8 " && name != "VP8L")) continue;
    moving = name == "ANMF";
    const bool found =
        moving ? ReadAnimationFrame(chunk->data, frame) : ReadBitstream(bytes, *chunk, frame);
    if (!found) return Damaged(absl::StrCat("its ", std::string(name), " chunk cannot be read"));
  }
  if (frame.data.empty()) return Damaged("it has no picture");
  if (!FitsCanvas(frame, moving)) {
    return Damaged(absl::StrCat("its picture of ", frame.width, " x ", frame.height,
                                " does not fit its canvas of ", frame.canvas_width, " x ",
                                frame.canvas_height));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WebpFrame> FindWebpFrame(std::string_view bytes) {
  if (bytes.size() < kFileHead + kChunkHead) return Damaged("it ends early");
  const uint64_t stated = ReadLittleEndian(bytes, 4, 4) + 8;  // without RIFF and the size itself
  if (stated > bytes.size()) {
    return Damaged(absl::StrCat("it ends early, after ", bytes.size(), " of ", stated, " bytes"));
  }
  bytes = bytes.substr(0, stated);
  const std::optional<Chunk> head = ChunkAt(bytes, kFileHead);
  if (!head) return Damaged("its first chunk runs past its end");
  WebpFrame frame;
  if (head->name == "VP8X") {
    const absl::Status status = ReadExtended(bytes, *head, frame);
    if (!status.ok()) return status;
    return frame;
  }
  if (!ReadBitstream(bytes, *head, frame)) return Damaged("it has no picture");
  frame.canvas_width = frame.width;
  frame.canvas_height = frame.height;
  const absl::Status size = CheckImageSize(frame.width, frame.height);
  if (!size.ok()) return size;
  return frame;
}

absl::StatusOr<ImageHeader> ReadWebpHeader(std::string_view bytes) {
  const absl::StatusOr<WebpFrame> frame = FindWebpFrame(bytes);
  if (!frame.ok()) return frame.status();
  const absl::StatusOr<int> orientation = ReadOrientation(frame->exif, frame->xmp);
  if (!orientation.ok()) return orientation.status();
  return ImageHeader{.format = ImageFormat::kWebp,
                     .width = frame->canvas_width,
                     .height = frame->canvas_height,
                     .orientation = *orientation};
}

}  // namespace cogwheel
