#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/weights/component_files.h"
#include "worker/weights/safetensors.h"

namespace cogwheel {

// A tensor and the open file that it is in.
struct StoredTensor {
  const TensorEntry* entry = nullptr;
  const SafetensorsFile* file = nullptr;
};

// All tensors of a component's folder: of one file, or of the shards that its index names. Names
// are the network's own: a prefix that stands before all of them (module., _orig_mod.) is off.
class TensorFolder {
 public:
  // Throws as SafetensorsFile and FindComponentFiles; refuses an index whose shards are gone, and
  // the tensors of unfused LoRAs and quantised models by name.
  explicit TensorFolder(const ComponentFolder& component);

  // Null: there is none.
  const StoredTensor* Find(const std::string& name) const;
  // Throws std::invalid_argument naming folder, tensor and the one that may be meant.
  const StoredTensor& At(const std::string& name) const;
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }

 private:
  using WeightMap = std::map<std::string, std::string>;  // tensor -> shard

  void OpenShards(const std::string& index_path);
  void CheckShards(const std::string& index_path, const WeightMap& map) const;
  void Open(const std::string& path, const WeightMap& map);
  void TakePrefixOff(const std::string& known_tensor);

  const std::string folder_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace cogwheel
