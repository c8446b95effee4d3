#include "worker/weights/tensor_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <utility>

#include "worker/weights/foreign_tensors.h"
#include "worker/weights/json_fields.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

// Of an index file.
std::map<std::string, std::string> ReadWeightMap(const std::string& index_path) {
  const JsonFields index(ReadSmallFile(index_path), index_path);
  const JsonFields weight_map = index.Object("weight_map");
  std::map<std::string, std::string> map;
  for (const auto& [name, file] : weight_map.object().items()) {
    if (!file.is_string()) weight_map.Refuse(name, file, "a file name");
    map[name] = file.get<std::string>();
    if (map[name].empty() || map[name].find('/') != std::string::npos) {
      weight_map.Refuse(name, file, "a file in the same folder");
    }
  }
  return map;
}

std::set<std::string> ShardsOf(const std::map<std::string, std::string>& map) {
  std::set<std::string> shards;
  for (const auto& [name, shard] : map) shards.insert(shard);
  return shards;
}

}  // namespace

TensorFolder::TensorFolder(const ComponentFolder& component) : folder_(component.path) {
  const ComponentFiles files = FindComponentFiles(component);
  if (files.is_index) {
    OpenShards(files.path.string());
  } else {
    Open(files.path.string(), {});
  }
  TakePrefixOff(component.known_tensor);
  for (const auto& [name, tensor] : tensors_) {
    const std::string foreign = ForeignTensor(name);
    if (foreign.empty()) continue;
    throw std::invalid_argument(tensor.file->path() + ": tensor " + PrintableName(name) + " " +
                                foreign);
  }
}

// All that is in the shards, as the reference: the map only says which they are.
void TensorFolder::OpenShards(const std::string& index_path) {
  const WeightMap map = ReadWeightMap(index_path);
  CheckShards(index_path, map);
  for (const std::string& shard : ShardsOf(map)) Open(folder_ + "/" + shard, map);
}

void TensorFolder::CheckShards(const std::string& index_path, const WeightMap& map) const {
  const std::set<std::string> shards = ShardsOf(map);
  std::vector<std::string> gone;
  for (const std::string& shard : shards) {
    if (!fs::is_regular_file(fs::path(folder_) / shard)) gone.push_back(shard);
  }
  if (gone.empty()) return;
  const std::string single = index_path.substr(0, index_path.find(".safetensors")) + ".safetensors";
  throw std::invalid_argument(
      index_path + " names " + PrintableName(gone[0]) + ", which is not there (" +
      std::to_string(gone.size()) + " of " + std::to_string(shards.size()) + " shards are gone); " +
      (fs::exists(single) ? "remove the index if " + single + " is the model"
                          : "bring the shards, or remove the index with the others"));
}

void TensorFolder::Open(const std::string& path, const WeightMap& map) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  const std::string file_name = fs::path(path).filename().string();
  for (const auto& [name, entry] : files_.back()->tensors()) {
    const auto mapped = map.find(name);
    const bool is_own = mapped != map.end() && mapped->second == file_name;
    if (is_own || !tensors_.contains(name)) {
      tensors_[name] = {.entry = &entry, .file = files_.back().get()};
    }
  }
}

void TensorFolder::TakePrefixOff(const std::string& known_tensor) {
  if (known_tensor.empty() || tensors_.contains(known_tensor)) return;
  const auto known = std::ranges::find_if(
      tensors_, [&](const auto& tensor) { return tensor.first.ends_with("." + known_tensor); });
  if (known == tensors_.end()) return;
  const std::string prefix = known->first.substr(0, known->first.size() - known_tensor.size());
  const bool uniform = std::ranges::all_of(
      tensors_, [&](const auto& tensor) { return tensor.first.starts_with(prefix); });
  if (!uniform) return;
  std::map<std::string, StoredTensor> plain;
  for (const auto& [name, tensor] : tensors_) plain[name.substr(prefix.size())] = tensor;
  tensors_ = std::move(plain);
}

const StoredTensor* TensorFolder::Find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const StoredTensor& TensorFolder::At(const std::string& name) const {
  if (const StoredTensor* found = Find(name)) return *found;
  const std::string& where = files_.size() == 1 ? files_[0]->path() : folder_;
  std::string meant;
  for (const auto& [other, tensor] : tensors_) {
    if (meant.empty() && other.ends_with("." + name)) meant = other;
  }
  throw std::invalid_argument(where + ": tensor " + name + " is missing" +
                              (meant.empty() ? ""
                                             : ", there is " + PrintableName(meant) +
                                                   ", but not every tensor has that prefix; take "
                                                   "it off all names that have it"));
}

}  // namespace cogwheel
