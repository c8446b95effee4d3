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

// Finds the VP8 or VP8L chunk of a frame; a chunk of transparency may stand before it.
bool FindBitstream(std::string_view bytes, size_t at, WebpFrame& frame) {
  for (std::optional<Chunk> chunk = ChunkAt(bytes, at); chunk; chunk = ChunkAt(bytes, chunk->end)) {
    if (!chunk->name.starts_with("VP8") || chunk->name == "VP8X") continue;
    frame.data = bytes.substr(chunk->data.data() - bytes.data() - kChunkHead);
    return ReadBitstreamSize(*chunk, frame);
  }
  return false;
}

// An ANMF chunk: x / 2, y / 2, width - 1, height - 1, duration (3 bytes each), flags.
bool ReadAnimationFrame(std::string_view data, WebpFrame& frame) {
  constexpr size_t kHead = 16;
  if (data.size() < kHead || !FindBitstream(data, kHead, frame)) return false;
  frame.x = 2 * static_cast<int>(ReadLittleEndian(data, 0, 3));
  frame.y = 2 * static_cast<int>(ReadLittleEndian(data, 3, 3));
  return ReadLittleEndian(data, 6, 3) + 1 == static_cast<uint64_t>(frame.width) &&
         ReadLittleEndian(data, 9, 3) + 1 == static_cast<uint64_t>(frame.height);
}

// Whether a frame was found, having looked at every chunk for EXIF and XMP.
absl::Status ReadExtended(std::string_view bytes, const Chunk& head, WebpFrame& frame) {
  if (head.data.size() < 10) return Damaged("its header is too short");
  const uint64_t flags = ReadLittleEndian(head.data, 0, 1);
  frame.canvas_width = static_cast<int>(ReadLittleEndian(head.data, 4, 3)) + 1;
  frame.canvas_height = static_cast<int>(ReadLittleEndian(head.data, 7, 3)) + 1;
  const absl::Status size = CheckImageSize(frame.canvas_width, frame.canvas_height);
  if (!size.ok()) return size;
  bool found = false;
  for (std::optional<Chunk> chunk = ChunkAt(bytes, head.end); chunk;
       chunk = ChunkAt(bytes, chunk->end)) {
    const std::string_view name = chunk->name;
    if (name == "EXIF" && (flags & kExifFlag) != 0 && frame.exif.empty()) frame.exif = chunk->data;
    if (name == "XMP " && (flags & kXmpFlag) != 0 && frame.xmp.empty()) frame.xmp = chunk->data;
    if (found || (name != "ANMF" && name != "VP8 " && name != "VP8L")) continue;
    found = name == "ANMF"
                ? ReadAnimationFrame(chunk->data, frame)
                : FindBitstream(bytes, chunk->data.data() - bytes.data() - kChunkHead, frame);
    if (!found) return Damaged(absl::StrCat("its ", std::string(name), " chunk cannot be read"));
  }
  if (!found) return Damaged("it has no picture");
  if (frame.x + frame.width > frame.canvas_width || frame.y + frame.height > frame.canvas_height) {
    return Damaged(absl::StrCat("a picture of ", frame.width, " x ", frame.height, " at (", frame.x,
                                ", ", frame.y, ") reaches beyond its canvas of ",
                                frame.canvas_width, " x ", frame.canvas_height));
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
  if (!FindBitstream(bytes, kFileHead, frame)) return Damaged("it has no picture");
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
