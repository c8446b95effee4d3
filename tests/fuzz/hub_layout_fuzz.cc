// Any tree of files, folders and links where the hub's cache should be: a model is found, and then
// is a folder, or it is refused in one short line; so is what a component's folder holds. The bytes
// are a list of entries: what, where (names of the layout or free ones), and a content or target.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include "base/hub_cache.h"
#include "base/model_path.h"
#include "worker/weights/component_files.h"
#include "worker/weights/open_file.h"
#include "worker/weights/tensor_folder.h"

namespace {

namespace fs = std::filesystem;

constexpr const char* kNames[] = {"models--org--name",
                                  "snapshots",
                                  "refs",
                                  "main",
                                  "blobs",
                                  "aa",
                                  "bb",
                                  "..",
                                  "vae",
                                  "model_index.json",
                                  "config.json",
                                  "model.safetensors",
                                  "model.fp16.safetensors",
                                  "model.safetensors.index.json",
                                  "model.safetensors.index.fp16.json",
                                  "model-00001-of-00002.safetensors"};
constexpr const char* kContents[] = {"", "aa", R"({"vae": ["diffusers", "V"]})",
                                     R"({"weight_map": {"a": "model-00001-of-00002.safetensors"}})",
                                     R"({"weight_map": {"a": "model.safetensors.index.json"}})"};

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  uint8_t Next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::string Text() {
    std::string text(std::min<size_t>(Next() % 64, left_), '\0');
    for (char& c : text) c = static_cast<char>(Next());
    return text;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

std::string Path(Bytes& bytes) {
  std::string path;
  for (int depth = bytes.Next() % 6; depth >= 0; --depth) {
    const uint8_t name = bytes.Next();
    std::string text = name < 224 ? kNames[name % std::size(kNames)] : bytes.Text();
    std::erase(text, '/');
    std::erase(text, '\0');
    path += (path.empty() ? "" : "/") + text;
  }
  return path;
}

void Add(const fs::path& root, Bytes& bytes) {
  std::error_code error;
  const uint8_t what = bytes.Next();
  const fs::path path = (root / Path(bytes)).lexically_normal();
  if (!path.string().starts_with(root.string() + "/")) return;  // it would leave the folder
  fs::create_directories(path.parent_path(), error);
  if (what % 4 == 0) {
    fs::create_directories(path, error);
  } else if (what % 4 == 1) {
    fs::create_symlink(Path(bytes), path, error);
  } else {
    const uint8_t content = bytes.Next();
    std::ofstream(path, std::ios::binary)
        << (content < 160 ? kContents[content % std::size(kContents)] : bytes.Text());
  }
}

void CheckLine(const std::string& line) {
  if (line.empty() || line.size() > 6000 || line.find('\n') != std::string::npos) std::abort();
}

// `folder` stands in messages as it was given; the programs' own last word escapes it.
template <typename Call>
void Refusable(const std::string& folder, const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    std::string line = error.what();
    for (size_t at; (at = line.find(folder)) != std::string::npos;) line.erase(at, folder.size());
    CheckLine(line);
  } catch (const fs::filesystem_error&) {  // a circle of links
  } catch (const cogwheel::ReadError&) {
  }
}

void Look(const std::string& given, const cogwheel::GetVariable& environment) {
  const auto found = cogwheel::FindModel(given, environment);
  if (!found.ok()) return CheckLine(std::string(found.status().message()));
  if (!fs::is_directory(*found)) std::abort();
  cogwheel::ModelFolderName(*found);
  for (const auto saver : {cogwheel::Saver::kDiffusers, cogwheel::Saver::kTransformers}) {
    for (const char* variant : {"", "fp16"}) {
      Refusable(*found, [&] {
        cogwheel::WhatFolderIs(*found);
        cogwheel::VariantsIn({*found + "/vae", saver, variant});
        cogwheel::TensorFolder({*found + "/vae", saver, variant, "a"});
      });
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fs::path root =
      fs::temp_directory_path() / ("hub-layout-fuzz-" + std::to_string(getpid()));
  fs::create_directories(root);
  Bytes bytes(data, size);
  const std::string free_name = bytes.Text();
  for (int entries = 0; entries < 32 && !bytes.empty(); ++entries) Add(root, bytes);
  const auto environment = [](const char* name) {
    return std::string(name) == "HF_HUB_CACHE" ? root.c_str() : nullptr;
  };
  for (const std::string& given :
       {std::string("org/name"), free_name, (root / "models--org--name").string(),
        (root / "models--org--name/snapshots/aa").string(), root.string() + "/" + free_name}) {
    if (given.find('\0') == std::string::npos) Look(given, environment);
  }
  std::error_code error;
  fs::remove_all(root, error);
  return 0;
}
