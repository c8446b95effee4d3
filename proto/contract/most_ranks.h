#pragma once

#include <cstdint>
#include <string>

#include <absl/strings/str_cat.h>

namespace cogwheel {

inline constexpr int kMostRanks = 16;  // of a group

// Flags of a mesh that has at most so many ranks: the given one with its longer sides cut.
inline std::string NearestMeshFlags(int64_t cfg, int64_t ring, int64_t ulysses) {
  while (cfg * ring * ulysses > kMostRanks) --(ring > ulysses ? ring : ulysses);
  return absl::StrCat("--cfg-parallel ", cfg, " --ring ", ring, " --ulysses ", ulysses);
}

}  // namespace cogwheel
