#pragma once

#include <cstdlib>
#include <functional>
#include <string>

#include <absl/status/statusor.h>

// Which folder `--model` means, and what that model is called: the same for every program. Asks the
// file system only, never the network.
namespace cogwheel {

using GetVariable = std::function<const char*(const char*)>;

// `given` itself where the system has a folder of that path; else, for `org/name`, that
// repository's snapshot in the hub's local cache (HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME): of the
// complete ones, else of all, the one that refs/main names, else the newest. A repository's folder
// of the cache means its snapshot too. INVALID_ARGUMENT says in one line where it was looked and
// what is there; UNAVAILABLE: the disk failed.
absl::StatusOr<std::string> FindModel(const std::string& given,
                                      const GetVariable& environment = ::getenv);

// The repository's name of a snapshot (`models--org--NAME/snapshots/...`), else the path's last
// component as it stands: links are not followed. Any bytes; "" for "/".
std::string ModelFolderName(const std::string& path);

// What a weight file is by its name's ending, and the way out, where it cannot be read; "" for
// .safetensors and what is no weight file.
std::string ForeignFormat(const std::string& file_name);

}  // namespace cogwheel
