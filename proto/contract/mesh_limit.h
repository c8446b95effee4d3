#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <absl/strings/str_cat.h>

namespace cogwheel {

inline constexpr int kMostRanks = 16;  // of a group

// Flags of the largest mesh of at most `most` ranks, no side of it longer than given. Of equally
// large ones the guidance branches are kept, then the ring.
inline std::string NearestMeshFlags(int64_t cfg, int64_t ring, int64_t ulysses, int64_t most) {
  int64_t best_cfg = 1, best_ring = 1, best_ulysses = 1;
  for (int64_t c = cfg; c >= 1; --c) {
    for (int64_t r = ring; r >= 1; --r) {
      const int64_t u = std::min(ulysses, most / (c * r));
      if (c * r * u <= best_cfg * best_ring * best_ulysses) continue;
      best_cfg = c, best_ring = r, best_ulysses = u;
    }
  }
  return absl::StrCat("--cfg-parallel ", best_cfg, " --ring ", best_ring, " --ulysses ",
                      best_ulysses);
}

}  // namespace cogwheel
