// Pictures of clients: any bytes give a picture or a status, and pixels are only read of what the
// header let pass.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <zlib.h>

#include "proto/contract/image_header.h"
#include "worker/media/image_decoder.h"

namespace {

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

uint32_t Checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

void Require(bool holds) {
  if (!holds) __builtin_trap();
}

void Try(const std::string& bytes) {
  const auto header = cogwheel::ReadImageHeader(bytes);
  Require(header.ok() || !header.status().message().empty());
  // A small file can state many pixels; those cost time and find nothing more.
  if (header.ok() && int64_t{header->width} * header->height > 1 << 18) return;
  const auto image = cogwheel::DecodeImage(bytes);
  Require(header.ok() || !image.ok());
  if (!image.ok()) return;
  Require(image->width == header->upright_width() && image->height == header->upright_height());
  Require(image->rgb.size() == size_t{3} * image->height * image->width);
}

// No mutation would hit a checksum: the PNG with right ones.
std::string Mended(std::string bytes) {
  for (size_t at = 8; at + 12 <= bytes.size();) {
    size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(bytes[at + i]);
    if (length > bytes.size() - at - 12) break;
    const uint32_t sum = Checksum(std::string_view(bytes).substr(at + 4, length + 4));
    bytes.replace(at + 8 + length, 4, BigEndian(sum));
    at += 12 + length;
  }
  return bytes;
}

// Nor would one make deflated rows: the PNG of these rows, its header and palette from the front.
std::string Made(std::string_view bytes) {
  constexpr size_t kFront = 16;
  if (bytes.size() < kFront) return "";
  const std::string_view rows = bytes.substr(kFront);
  std::string deflated(compressBound(rows.size()), '\0');
  uLongf size = deflated.size();
  compress2(reinterpret_cast<Bytef*>(deflated.data()), &size,
            reinterpret_cast<const Bytef*>(rows.data()), rows.size(), 0);
  const auto chunk = [](const std::string& type, const std::string& data) {
    return BigEndian(static_cast<uint32_t>(data.size())) + type + data + "----";
  };
  const std::string head = BigEndian(bytes[0] & 63) + BigEndian(bytes[1] & 63);
  return Mended(
      "\x89PNG\r\n\x1a\n" + chunk("IHDR", head + std::string{bytes[2], bytes[3], 0, 0, bytes[4]}) +
      chunk("PLTE", std::string(bytes.substr(5, 11))) + chunk("IDAT", deflated.substr(0, size)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  Try(bytes);
  if (bytes.starts_with("\x89PNG")) Try(Mended(bytes));
  if (bytes.starts_with("rows")) Try(Made(std::string_view(bytes).substr(4)));
  return 0;
}
