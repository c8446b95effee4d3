#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/weights/open_file.h"

// The safetensors file format, read and written. The bytes are not trusted. No torch.
namespace cogwheel {

// All that the format has.
enum class TensorDtype {
  kBool,
  kF4,
  kF6E2m3,
  kF6E3m2,
  kU8,
  kI8,
  kF8E5m2,
  kF8E4m3,
  kF8E8m0,
  kF8E4m3fnuz,
  kF8E5m2fnuz,
  kI16,
  kU16,
  kF16,
  kBf16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};
int ElementBits(TensorDtype dtype);
const char* DtypeName(TensorDtype dtype);  // "F32"

// One tensor of an open file.
struct TensorEntry {
  TensorDtype dtype = TensorDtype::kF32;
  std::vector<int64_t> shape;
  int64_t offset = 0;  // of its data in the file; not aligned to the element size
  int64_t bytes = 0;
};

// Checks a header against the size of its file: every offset pair against shape and dtype, file
// size, gaps and overlap; names unique; nothing behind the last tensor. `start`: the file's bytes
// from the first on, at least to the header's end. Throws std::invalid_argument with `file`, the
// tensor and what is wrong.
std::map<std::string, TensorEntry> ParseSafetensors(std::string_view start, int64_t file_bytes,
                                                    const std::string& file);

// Immutable: all methods may be called on any thread. Throws as OpenFile, and std::invalid_argument
// for a damaged file.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  // The file's bytes from `offset` on; throws as OpenFile::Read.
  void Read(int64_t offset, std::span<std::byte> into) const { file_.Read(offset, into); }

 private:
  OpenFile file_;
  std::map<std::string, TensorEntry> tensors_;
};

// Header of a file that will hold these tensors one after the other; the data follow it.
struct TensorPlan {
  std::string name;
  TensorDtype dtype = TensorDtype::kF32;
  std::vector<int64_t> shape;
};
std::string SafetensorsHeader(const std::vector<TensorPlan>& tensors);

}  // namespace cogwheel
