// Any bytes as a safetensors file: refused with std::invalid_argument in one short line, or every
// tensor lies inside the file, has the size of its shape, and together they fill it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>

#include "worker/model/safetensors.h"

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

void CheckEntry(const cogwheel::TensorEntry& entry, std::span<const std::byte> bytes) {
  uint64_t size = static_cast<uint64_t>(cogwheel::ElementBytes(entry.dtype));
  for (const int64_t extent : entry.shape) size *= static_cast<uint64_t>(extent);
  Check(size == entry.data.size());
  if (entry.data.empty()) return;
  Check(entry.data.data() >= bytes.data());
  Check(entry.data.data() + entry.data.size() <= bytes.data() + bytes.size());
  volatile std::byte last = entry.data.back();
  (void)last;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    size_t total = 0;
    for (const auto& [name, entry] : cogwheel::ParseSafetensors(bytes, "fuzz")) {
      CheckEntry(entry, bytes);
      total += entry.data.size();
    }
    Check(total + 8 <= size);
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    Check(message.size() < 1000 && message.find('\n') == std::string::npos);
  }
  return 0;
}
