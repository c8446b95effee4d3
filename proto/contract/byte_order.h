#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// Numbers of 1 to 8 bytes within a file; the caller has checked the range.
namespace cogwheel {

inline uint64_t ReadBigEndian(std::string_view bytes, size_t offset, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  }
  return value;
}

inline uint64_t ReadLittleEndian(std::string_view bytes, size_t offset, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[offset + i - 1]);
  }
  return value;
}

}  // namespace cogwheel
