#include "worker/weights/component_files.h"

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

#include "base/model_path.h"
#include "worker/weights/json_fields.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeights = ".safetensors", kIndex = ".safetensors.index";

std::string StemOf(Saver saver) {
  return saver == Saver::kDiffusers ? "diffusion_pytorch_model" : "model";
}

// In the order in which the saver's library looks for them.
std::vector<ComponentFiles> Candidates(const ComponentFolder& component,
                                       const std::string& variant) {
  const fs::path stem = fs::path(component.path) / StemOf(component.saver);
  const std::string dotted = variant.empty() ? "" : "." + variant;
  const auto named = [&](const std::string& ending, bool is_index) {
    return ComponentFiles{.path = stem.string() + ending, .is_index = is_index};
  };
  const ComponentFiles file = named(dotted + std::string(kWeights), false);
  const ComponentFiles index = named(std::string(kIndex) + dotted + ".json", true);
  if (component.saver == Saver::kTransformers) return {file, index};
  // diffusers before 0.32 put a variant of an index elsewhere.
  if (variant.empty()) return {index, file};
  return {index, named(std::string(kWeights) + dotted + ".index.json", true), file};
}

// A link to nowhere is a download that has not ended: the next candidate may be another generation.
std::optional<ComponentFiles> Find(const ComponentFolder& component, const std::string& variant) {
  for (const ComponentFiles& candidate : Candidates(component, variant)) {
    if (fs::is_regular_file(candidate.path)) return candidate;
    if (!fs::is_symlink(candidate.path) || fs::exists(candidate.path)) continue;
    throw std::invalid_argument(candidate.path.string() + " is a link to " +
                                PrintableName(fs::read_symlink(candidate.path).string()) +
                                ", which is not there: the download is not complete; bring that "
                                "file");
  }
  return std::nullopt;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  if (!fs::is_directory(folder)) return names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

// Takes -00001-of-00002 off the end.
void DropShardNumber(std::string& name) {
  constexpr std::string_view kPattern = "-00001-of-00002";
  if (name.size() < kPattern.size()) return;
  const size_t begin = name.size() - kPattern.size();
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const bool digit = kPattern[i] >= '0' && kPattern[i] <= '9';
    const char c = name[begin + i];
    if (digit ? c < '0' || c > '9' : c != kPattern[i]) return;
  }
  name.resize(begin);
}

// Of STEM.VARIANT.safetensors, STEM.VARIANT-00001-of-00002.safetensors, the older
// STEM-00001-of-00002.VARIANT.safetensors, and both forms of index; "" for every other name.
std::string VariantOf(const std::string& name, const std::string& stem) {
  if (!name.starts_with(stem)) return "";
  std::string rest = name.substr(stem.size());
  const auto take = [&rest](std::string_view end) {
    if (!rest.ends_with(end)) return false;
    rest.resize(rest.size() - end.size());
    return true;
  };
  const bool is_index = take(".json");
  if (is_index && rest.starts_with(kIndex)) {
    rest.erase(0, kIndex.size());
  } else if (is_index && take(".index") && rest.starts_with(kWeights)) {
    rest.erase(0, kWeights.size());
  } else if (is_index || !take(kWeights)) {
    return "";
  }
  DropShardNumber(rest);
  if (rest.starts_with("-")) {  // the older form
    const size_t dot = rest.find('.');
    std::string number = rest.substr(0, dot);
    DropShardNumber(number);
    rest = number.empty() && dot != std::string::npos ? rest.substr(dot) : "";
  }
  return rest.starts_with(".") ? rest.substr(1) : "";
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " or ") + word;
  return text;
}

// What somebody who looks for weights finds in a folder that has none as they should be.
std::string WhatLiesIn(const ComponentFolder& component) {
  const std::vector<std::string> names = NamesIn(component.path);
  for (const std::string& name : names) {
    const std::string variant = VariantOf(name, StemOf(component.saver));
    if (!variant.empty() && variant != component.variant) {
      return "but " + PrintableName(name) + "; choose it with --variant " +
             PrintableName(Joined(VariantsIn(component)));
    }
  }
  for (const std::string& name : names) {
    const fs::path path = fs::path(component.path) / name;
    if (fs::is_symlink(path) && !fs::exists(path)) {
      return "but " + PrintableName(name) + ", a link to " +
             PrintableName(fs::read_symlink(path).string()) +
             ", which is not there: the download is not complete";
    }
  }
  for (const std::string& name : names) {
    const std::string format = ForeignFormat(name);
    if (!format.empty()) return "but " + PrintableName(name) + ", " + format;
  }
  for (const std::string& name : names) {
    if (name.ends_with(kWeights)) {
      return "but " + PrintableName(name) + ", which is not how " +
             (component.saver == Saver::kDiffusers ? "diffusers" : "transformers") + " names it";
    }
  }
  return "nor an index of its shards";
}

// A variant of it that is there only in part, or in a form that is not read, must not be left for
// another generation of weights.
void RefuseOtherFormsOfVariant(const ComponentFolder& component) {
  const std::string stem = StemOf(component.saver);
  const std::string begin = stem + "." + component.variant + ".";
  const std::string pickle = "pytorch_model." + component.variant + ".";
  for (const std::string& name : NamesIn(component.path)) {
    if (VariantOf(name, stem) == component.variant) {
      throw std::invalid_argument(component.path + " holds of variant " + component.variant +
                                  " only " + PrintableName(name) +
                                  ", without the index of its shards; bring the index");
    }
    const std::string format = ForeignFormat(name);
    if (!format.empty() && (name.starts_with(begin) || name.starts_with(pickle))) {
      throw std::invalid_argument(component.path + " holds of variant " + component.variant +
                                  " only " + PrintableName(name) + ", " + format);
    }
  }
}

}  // namespace

ComponentFiles FindComponentFiles(const ComponentFolder& component) {
  if (!component.variant.empty()) {
    if (const auto found = Find(component, component.variant)) return *found;
    RefuseOtherFormsOfVariant(component);
  }
  if (const auto found = Find(component, "")) return *found;
  throw std::invalid_argument(component.path + " holds no " + StemOf(component.saver) +
                              std::string(kWeights) + ", " + WhatLiesIn(component));
}

std::string WhatFolderIs(const std::string& folder) {
  const std::vector<std::string> names = NamesIn(folder);
  const fs::path path(folder);
  for (const std::string& name : names) {
    if (fs::exists(path / name / "model_index.json")) return "; " + PrintableName(name) + " has it";
  }
  for (const std::string& name : names) {
    const std::string format = ForeignFormat(name);
    if (!format.empty()) return "; the folder holds " + PrintableName(name) + ", " + format;
  }
  const fs::path parent = fs::absolute(path).lexically_normal() / "..";
  if (fs::exists(parent / "model_index.json")) return "; it is one level up, give that folder";
  for (const std::string& name : names) {
    if (!name.ends_with(kWeights)) continue;
    return "; the folder holds " + PrintableName(name) +
           ", a single-file checkpoint: load it with diffusers' from_single_file and save it as a "
           "folder with save_pretrained";
  }
  return "";
}

std::vector<std::string> VariantsIn(const ComponentFolder& component) {
  std::set<std::string> variants;
  for (const std::string& name : NamesIn(component.path)) {
    variants.insert(VariantOf(name, StemOf(component.saver)));
  }
  variants.erase("");
  return {variants.begin(), variants.end()};
}

}  // namespace cogwheel
