// Any bytes as a safetensors file: refused with std::invalid_argument in one short line, or every
// tensor lies inside the file, has the size of its shape, and together they fill it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "worker/weights/safetensors.h"

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckEntry(const cogwheel::TensorEntry& entry, size_t file_bytes) {
  uint64_t bits = static_cast<uint64_t>(cogwheel::ElementBits(entry.dtype));
  for (const int64_t extent : entry.shape) bits *= static_cast<uint64_t>(extent);
  Check(entry.offset >= 8 && bits == static_cast<uint64_t>(entry.bytes) * 8);
  Check(static_cast<uint64_t>(entry.offset) + bits / 8 <= file_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    size_t total = 0;
    for (const auto& [name, entry] : cogwheel::ParseSafetensors(bytes, size, "fuzz")) {
      CheckEntry(entry, size);
      total += entry.bytes;
    }
    Check(total + 8 <= size);
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    Check(message.size() < 1000 && message.find('\n') == std::string::npos);
  }
  return 0;
}
