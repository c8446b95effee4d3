#include "base/usable_cpus.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include <sched.h>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include "base/control_groups.h"

namespace cogwheel {
namespace {

std::optional<int> Version2Quota(const std::string& folder) {
  const std::string text = FileText(folder + "/cpu.max");
  const std::vector<std::string> words =
      absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  return words.size() == 2 ? QuotaCpus(words[0], words[1]) : std::nullopt;
}

std::optional<int> Version1Quota(const std::string& folder) {
  return QuotaCpus(FileText(folder + "/cpu.cfs_quota_us"), FileText(folder + "/cpu.cfs_period_us"));
}

std::optional<int> Stricter(std::optional<int> a, std::optional<int> b) {
  if (!a.has_value()) return b;
  return b.has_value() ? std::min(*a, *b) : *a;
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

std::optional<int> CpuQuota(const std::string& root) {
  std::optional<int> least;
  for (const std::string& folder : ControlGroupFolders("cpu", root)) {
    least = Stricter(least, Stricter(Version2Quota(folder), Version1Quota(folder)));
  }
  return least;
}

int UsableCpus() {
  const int cpus = std::max(1, AffinityCpus());
  return std::min(cpus, CpuQuota().value_or(cpus));
}

}  // namespace cogwheel
