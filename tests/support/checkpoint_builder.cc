#include "tests/support/checkpoint_builder.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <nlohmann/json.hpp>

#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

at::Tensor Uniform(const std::vector<int64_t>& shape, double mean, double std, uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::rand(shape, generator, at::TensorOptions(at::kFloat))
      .sub_(0.5)
      .mul_(std * std::sqrt(12.0))
      .add_(mean);
}

// The file's dtype of a tensor.
TensorDtype StoredTypeOf(const at::Tensor& tensor) {
  for (const auto dtype : {TensorDtype::kF64, TensorDtype::kF32, TensorDtype::kF16,
                           TensorDtype::kBf16, TensorDtype::kF8E4m3, TensorDtype::kF8E5m2}) {
    if (WeightTypeOf(dtype) == tensor.scalar_type()) return dtype;
  }
  return tensor.scalar_type() == at::kLong ? TensorDtype::kI64 : TensorDtype::kU8;
}

// lines: [name, shape, mean, std, seed].
void WriteWeights(const nlohmann::json& lines, const fs::path& path) {
  std::vector<TensorPlan> plans;
  for (const nlohmann::json& line : lines) {
    plans.push_back({.name = line[0], .dtype = TensorDtype::kF32, .shape = line[1]});
  }
  std::ofstream file(path, std::ios::binary);
  const std::string header = SafetensorsHeader(plans);
  file.write(header.data(), header.size());
  for (const nlohmann::json& line : lines) {
    const at::Tensor values = Uniform(line[1], line[2], line[3], line[4]);
    file.write(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  }
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

fs::path WeightFile(const fs::path& root, const std::string& part) {
  const char* stem = part == "text_encoder" ? "model" : "diffusion_pytorch_model";
  return root / part / (std::string(stem) + ".safetensors");
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  path_ = (fs::temp_directory_path() / "cogwheel-test-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make " + path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string GoldenPath(const std::string& name) {
  const char* elsewhere = std::getenv("COGWHEEL_GOLDEN");  // where the source tree is not
  return (elsewhere != nullptr ? elsewhere : std::string(COGWHEEL_SOURCE_DIR) + "/tests/golden") +
         "/" + name;
}

void BuildCheckpoint(const std::string& name, const std::string& folder) {
  std::ifstream file(GoldenPath("checkpoints/" + name + ".json"));
  const nlohmann::json checkpoint = nlohmann::json::parse(file);
  const fs::path root(folder);
  for (const auto& [path, content] : checkpoint["configs"].items()) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << content.dump();
  }
  fs::copy_file(GoldenPath("spiece.model"), root / "tokenizer/spiece.model");
  for (const auto& [part, lines] : checkpoint["tensors"].items()) {
    WriteWeights(lines, WeightFile(root, part));
  }
}

void EditTensors(const std::string& path,
                 const std::function<void(std::map<std::string, at::Tensor>&)>& change) {
  std::map<std::string, at::Tensor> tensors;
  const SafetensorsFile old(path);
  for (const auto& [name, entry] : old.tensors()) tensors[name] = ReadTensor(old, name);
  change(tensors);
  std::vector<TensorPlan> plans;
  for (const auto& [name, tensor] : tensors) {
    plans.push_back({name, StoredTypeOf(tensor), tensor.sizes().vec()});
  }
  fs::remove(path);  // it may be a link
  std::ofstream file(path, std::ios::binary);
  file << SafetensorsHeader(plans);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor dense = tensor.contiguous();
    file.write(static_cast<const char*>(dense.const_data_ptr()),
               static_cast<std::streamsize>(dense.nbytes()));
  }
  if (!file) throw std::runtime_error("cannot write " + path);
}

void PlantValue(const std::string& folder, const std::string& part, const std::string& tensor,
                float value) {
  const fs::path path = WeightFile(folder, part);
  const TensorEntry entry = SafetensorsFile(path.string()).tensors().at(tensor);
  const at::Tensor values = at::full(entry.shape, value, at::TensorOptions(at::kFloat));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(entry.offset));
  file.write(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

at::Tensor ReadTensor(const SafetensorsFile& file, const std::string& name) {
  const TensorEntry& entry = file.tensors().at(name);
  const at::ScalarType type = WeightTypeOf(entry.dtype).value_or(at::kByte);
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions(type));
  file.Read(entry.offset, {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()});
  return tensor;
}

}  // namespace cogwheel
