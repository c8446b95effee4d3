#include "worker/launch/memory_kills.h"

#include <fstream>

#include "base/control_groups.h"

namespace cogwheel {
namespace {

// The number behind a line's first word.
std::optional<int64_t> Find(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  int64_t value = 0;
  while (file >> word >> value) {
    if (word == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> MemoryKills(const std::string& root) {
  // A group counts for those below it, so its own file tells most.
  for (const std::string& folder : ControlGroupFolders("memory", root)) {
    for (const char* file : {"/memory.events", "/memory.oom_control"}) {
      if (const auto kills = Find(folder + file, "oom_kill")) return kills;
    }
  }
  return Find(root + "/proc/vmstat", "oom_kill");
}

void MemoryKillWatch::Poll(std::chrono::steady_clock::time_point now) {
  const std::optional<int64_t> kills = MemoryKills(root_);
  if (kills.has_value() && kills_.has_value() && *kills > *kills_) rose_ = now;
  kills_ = kills;
}

}  // namespace cogwheel
