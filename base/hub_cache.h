#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "base/model_path.h"

// The hub's local cache as huggingface_hub lays it out: `models--org--name` with `refs/main` (the
// name of a snapshot) and `snapshots/<commit>/` (links to `blobs/`). What lies there is not
// trusted.
namespace cogwheel {

// HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub,
// else ~/.cache/huggingface/hub; `~` and `$NAME` in them are expanded, an empty one is none.
std::filesystem::path HubCacheFolder(const GetVariable& environment);

// `org/name` of the characters that the hub allows.
bool IsRepositoryName(const std::string& text);

// models--org--name, with a folder of snapshots.
bool IsRepositoryFolder(const std::filesystem::path& folder);

// The snapshot to read of a repository's folder. NOT_FOUND when it holds none.
absl::StatusOr<std::filesystem::path> NewestSnapshot(const std::filesystem::path& repository);

// `org/name` of the models in a cache, sorted.
std::vector<std::string> RepositoriesIn(const std::filesystem::path& cache);

}  // namespace cogwheel
