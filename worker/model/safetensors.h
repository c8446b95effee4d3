#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

// The safetensors file format, read and written. The bytes are not trusted. No torch.
namespace cogwheel {

enum class TensorDtype { kF32, kF16, kBf16, kU8 };
int64_t ElementBytes(TensorDtype dtype);
const char* DtypeName(TensorDtype dtype);  // "F32"

// One tensor of an open file.
struct TensorEntry {
  TensorDtype dtype = TensorDtype::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;  // not aligned to the element size; lives as long as the file
};

// Checks a header against the bytes behind it: every offset pair against shape and dtype, file
// size, gaps and overlap; names unique; nothing behind the last tensor. Throws
// std::invalid_argument with `file`, the tensor and what is wrong.
std::map<std::string, TensorEntry> ParseSafetensors(std::span<const std::byte> bytes,
                                                    const std::string& file);

// A file mapped into memory, read-only.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

// Thread-compatible; entries are views into the mapping.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  // The JSON header as it stands in the file, for digests.
  std::span<const std::byte> header() const;

 private:
  std::string path_;
  MappedFile mapping_;
  std::map<std::string, TensorEntry> tensors_;
};

// All tensors of a component folder: one file, or the shards that its index names.
class TensorFolder {
 public:
  // Looks for diffusion_pytorch_model or model, .safetensors or .safetensors.index.json.
  explicit TensorFolder(const std::string& folder);

  struct Found {
    const TensorEntry* entry = nullptr;  // null: no such tensor
    std::string file;
  };
  Found Find(const std::string& name) const;
  const std::vector<std::unique_ptr<SafetensorsFile>>& files() const { return files_; }
  const std::string& folder() const { return folder_; }

 private:
  void OpenIndex(const std::string& index_path);

  std::string folder_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, size_t> where_;  // tensor name -> files_ index
};

// Header of a file that will hold these tensors one after the other; the data follow it.
struct TensorPlan {
  std::string name;
  TensorDtype dtype = TensorDtype::kF32;
  std::vector<int64_t> shape;
};
std::string SafetensorsHeader(const std::vector<TensorPlan>& tensors);

}  // namespace cogwheel
