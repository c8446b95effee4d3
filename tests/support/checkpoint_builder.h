#pragma once

#include <functional>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "worker/weights/safetensors.h"

namespace cogwheel {

// A folder below the system's temporary folder, removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Writes tests/golden/checkpoints/NAME.json as a diffusers folder: its configs, the golden
// tokenizer, and weights of value mean + std * sqrt(12) * (u - 0.5), u from at::rand with the
// line's seed (the twin of `uniform` in tests/golden/reference.py).
void BuildCheckpoint(const std::string& name, const std::string& folder);

// Changes a safetensors file: `change` sees every tensor by name and may replace, add and remove;
// each is stored in its own dtype.
void EditTensors(const std::string& path,
                 const std::function<void(std::map<std::string, at::Tensor>&)>& change);

// Overwrites every value of an F32 tensor in a weight file of such a folder: "vae",
// "decoder.conv_out.conv.bias".
void PlantValue(const std::string& folder, const std::string& part, const std::string& tensor,
                float value);

// A tensor of a recorded file, in the dtype it was stored in.
at::Tensor ReadTensor(const SafetensorsFile& file, const std::string& name);

// tests/golden/NAME, or below it.
std::string GoldenPath(const std::string& name);

}  // namespace cogwheel
