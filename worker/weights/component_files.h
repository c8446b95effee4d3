#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// Which files of a component's folder hold its weights, as the library that saved them chooses
// (diffusers 0.42.1 models/modeling_utils.py, transformers 5.23 modeling_utils.py). Throws
// std::invalid_argument, and std::filesystem::filesystem_error where the disk fails. No torch.
namespace cogwheel {

// How files are named and which of two generations is read: diffusers prefers an index of shards
// to a single file, transformers the single file.
enum class Saver { kDiffusers, kTransformers };

// A component (transformer, vae, text_encoder) of a checkpoint.
struct ComponentFolder {
  std::string path;
  Saver saver = Saver::kDiffusers;
  std::string variant;  // "fp16": its files where the component has such, else the plain ones
  // Each component of its kind has this tensor: what stands before it stands before all names.
  std::string known_tensor;
};

struct ComponentFiles {
  std::filesystem::path path;
  bool is_index = false;
};

// Refuses a folder without any, saying what lies there and what to do.
ComponentFiles FindComponentFiles(const ComponentFolder& component);

// What a folder without model_index.json is, for its refusal: "; NAME/ in it is a checkpoint", ...;
// "" where nothing is known of what lies there.
std::string WhatFolderIs(const std::string& folder);

// The variants that files of a folder are of, sorted: "fp16" of model.fp16.safetensors.
std::vector<std::string> VariantsIn(const ComponentFolder& component);

}  // namespace cogwheel
