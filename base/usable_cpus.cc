#include "base/usable_cpus.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <thread>
#include <vector>

#include <sched.h>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

namespace cogwheel {
namespace {

// Where the hierarchies are mounted, by systemd and in containers.
constexpr char kVersion2Folder[] = "/sys/fs/cgroup";
constexpr const char* kVersion1Folders[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"};

// Empty when it cannot be read.
std::string Text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<int> Version2Quota(const std::string& folder) {
  const std::string text = Text(folder + "/cpu.max");
  const std::vector<std::string> words =
      absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  return words.size() == 2 ? QuotaCpus(words[0], words[1]) : std::nullopt;
}

std::optional<int> Version1Quota(const std::string& folder) {
  return QuotaCpus(Text(folder + "/cpu.cfs_quota_us"), Text(folder + "/cpu.cfs_period_us"));
}

std::optional<int> Stricter(std::optional<int> a, std::optional<int> b) {
  if (!a.has_value()) return b;
  return b.has_value() ? std::min(*a, *b) : *a;
}

// A quota holds for all groups below it. In a container the path may be the host's, of which only
// the top is mounted: the folders between that are not there have no quota.
std::optional<int> LeastQuota(const std::string& mounted_at, std::string path,
                              const std::function<std::optional<int>(const std::string&)>& quota) {
  std::optional<int> least;
  while (true) {
    least = Stricter(least, quota(mounted_at + path));
    if (path.empty()) return least;
    path.resize(std::min(path.rfind('/'), path.size() - 1));
  }
}

int AffinityCpus() {
  std::array<cpu_set_t, 16> set{};  // of 16384 CPUs; the call fails where it is too small
  if (sched_getaffinity(0, sizeof set, set.data()) == 0) return CPU_COUNT_S(sizeof set, set.data());
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

std::optional<int> QuotaCpus(const std::string& quota_us, const std::string& period_us) {
  int64_t quota = 0, period = 0;
  if (!absl::SimpleAtoi(quota_us, &quota) || !absl::SimpleAtoi(period_us, &period)) {
    return std::nullopt;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  const int64_t cpus = (quota - 1) / period + 1;
  return static_cast<int>(std::min<int64_t>(cpus, std::numeric_limits<int>::max()));
}

std::optional<std::string> GroupPath(const std::string& cgroups, const std::string& controller) {
  const std::vector<std::string> lines = absl::StrSplit(cgroups, '\n');
  for (const std::string& line : lines) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    if (std::ranges::count(controllers, controller) > 0) return parts[2];
  }
  return std::nullopt;
}

std::optional<int> CpuQuota(const std::string& root) {
  const std::string cgroups = Text(root + "/proc/self/cgroup");
  std::optional<int> least;
  if (const auto path = GroupPath(cgroups, "")) {
    least = LeastQuota(root + kVersion2Folder, *path, Version2Quota);
  }
  if (const auto path = GroupPath(cgroups, "cpu")) {
    for (const char* folder : kVersion1Folders) {
      least = Stricter(least, LeastQuota(root + folder, *path, Version1Quota));
    }
  }
  return least;
}

int UsableCpus() {
  const int cpus = std::max(1, AffinityCpus());
  return std::min(cpus, CpuQuota().value_or(cpus));
}

}  // namespace cogwheel
