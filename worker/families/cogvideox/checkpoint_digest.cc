#include "worker/families/cogvideox/checkpoint_digest.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "worker/families/cogvideox/components.h"
#include "worker/weights/json_fields.h"
#include "worker/weights/open_file.h"
#include "worker/weights/tensor_folder.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSampleBytes = 64 * 1024;

void AddBytes(Sha256& sha, const std::vector<char>& bytes) {
  sha.Update(std::string_view(bytes.data(), bytes.size()));
}

// `name` is the file's below the checkpoint's folder.
void AddFile(Sha256& sha, const std::string& model_dir, const std::string& name) {
  const OpenFile file(model_dir + "/" + name);
  const int64_t bytes = file.bytes();
  sha.Update(name + " " + std::to_string(bytes) + "\n");
  std::vector<char> piece;
  for (int64_t offset = 0; offset < bytes; offset += std::ssize(piece)) {
    piece.resize(std::min(kSampleBytes, bytes - offset));
    file.Read(offset, std::as_writable_bytes(std::span(piece)));
    AddBytes(sha, piece);
  }
}

// What of cogwheel.json changes a job that leaves fields out; a name or a preview does not.
void AddOwnFile(Sha256& sha, const std::string& model_dir) {
  const std::string path = model_dir + "/cogwheel.json";
  if (!fs::exists(path)) return;
  const JsonFields own(ReadSmallFile(path), path);
  for (const char* key : {"defaults", "limits", "presets"}) {
    if (!own.At(key).is_null()) sha.Update(std::string(key) + " " + own.At(key).dump() + "\n");
  }
}

void AddTokenizer(Sha256& sha, const std::string& model_dir) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(model_dir + "/tokenizer")) {
    const std::string extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".json" || extension == ".model")) {
      names.push_back("tokenizer/" + entry.path().filename().string());
    }
  }
  std::ranges::sort(names);
  for (const std::string& name : names) AddFile(sha, model_dir, name);
}

// Its first, middle and last bytes; all of them where these would overlap.
void AddSamples(Sha256& sha, const StoredTensor& tensor) {
  const int64_t bytes = tensor.entry->bytes;
  std::vector<int64_t> begins = {0, (bytes - kSampleBytes) / 2, bytes - kSampleBytes};
  if (bytes <= 3 * kSampleBytes) begins = {0};
  std::vector<char> piece(bytes <= 3 * kSampleBytes ? bytes : kSampleBytes);
  for (const int64_t begin : begins) {
    tensor.file->Read(tensor.entry->offset + begin, std::as_writable_bytes(std::span(piece)));
    AddBytes(sha, piece);
  }
}

void AddTensors(Sha256& sha, const std::string& component, const TensorFolder& folder) {
  for (const auto& [name, tensor] : folder.tensors()) {
    std::string line = component + " " + name + " " + DtypeName(tensor.entry->dtype) + " [";
    for (const int64_t extent : tensor.entry->shape) line += std::to_string(extent) + ",";
    sha.Update(line + "] " + std::to_string(tensor.entry->bytes) + "\n");
    AddSamples(sha, tensor);
  }
}

}  // namespace

std::string CheckpointDigest(const std::string& model_dir, const std::string& variant,
                             bool random_weights) {
  Sha256 sha;
  for (const char* config :
       {"model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json",
        "transformer/config.json", "vae/config.json"}) {
    AddFile(sha, model_dir, config);
  }
  AddOwnFile(sha, model_dir);
  AddTokenizer(sha, model_dir);
  if (random_weights) {
    sha.Update("random weights");
    return sha.HexDigest();
  }
  for (const char* component : {"text_encoder", "transformer", "vae"}) {
    AddTensors(sha, component, TensorFolder(ComponentOf(model_dir, component, variant)));
  }
  return sha.HexDigest();
}

}  // namespace cogwheel
