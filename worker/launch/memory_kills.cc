#include "worker/launch/memory_kills.h"

#include <fstream>
#include <iterator>

#include "base/usable_cpus.h"

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

std::string Text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

std::optional<int64_t> MemoryKills(const std::string& root) {
  struct Source {
    std::optional<std::string> group;
    const char* folder;
    const char* file;
  };
  const std::string cgroups = Text(root + "/proc/self/cgroup");
  const Source sources[] = {
      {GroupPath(cgroups, ""), "/sys/fs/cgroup", "/memory.events"},
      {GroupPath(cgroups, "memory"), "/sys/fs/cgroup/memory", "/memory.oom_control"}};
  for (const Source& source : sources) {
    if (!source.group.has_value()) continue;
    // A group counts for those below it. In a container the path may be the host's, of which only
    // the top is mounted.
    for (std::string group = *source.group;; group.resize(group.rfind('/'))) {
      const auto kills = Find(root + source.folder + group + source.file, "oom_kill");
      if (kills.has_value()) return kills;
      if (group.rfind('/') == std::string::npos) break;
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
