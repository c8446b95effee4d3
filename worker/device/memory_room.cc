#include "worker/device/memory_room.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include "base/control_groups.h"

namespace cogwheel {
namespace {

constexpr int64_t kKilobyte = 1024;

// The first number behind a name at the start of a line: "MemAvailable:   52 kB", "anon 4096".
// Nothing for "max" and "unlimited".
std::optional<int64_t> NumberAfter(const std::string& text, const std::string& name) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const auto line =
      std::ranges::find_if(lines, [&](const std::string& each) { return each.starts_with(name); });
  if (line == lines.end()) return std::nullopt;
  const std::vector<std::string> words =
      absl::StrSplit(line->substr(name.size()), absl::ByAnyChar(" \t"), absl::SkipEmpty());
  int64_t value = 0;
  if (words.empty() || !absl::SimpleAtoi(words.front(), &value)) return std::nullopt;
  return value;
}

// Keeps the least.
class Least {
 public:
  void Add(std::optional<int64_t> bytes, const char* limit) {
    if (bytes.has_value() && *bytes < room_.bytes) room_ = {std::max<int64_t>(*bytes, 0), limit};
  }
  const MemoryRoom& room() const { return room_; }

 private:
  MemoryRoom room_{.bytes = std::numeric_limits<int64_t>::max(), .limit = "no limit"};
};

std::optional<int64_t> Minus(std::optional<int64_t> limit, std::optional<int64_t> used) {
  if (!limit.has_value()) return std::nullopt;
  return *limit - used.value_or(0);
}

// What a group's files hold in memory and give back when somebody needs it: active once a file has
// been read twice, as a checkpoint is that is checked first.
int64_t FileCache(const std::string& folder, const std::string& prefix) {
  const std::string stat = FileText(folder + "/memory.stat");
  return NumberAfter(stat, prefix + "inactive_file ").value_or(0) +
         NumberAfter(stat, prefix + "active_file ").value_or(0);
}

// One control group's limits; its usage holds that of the groups below it.
void AddVersion2(const std::string& folder, Least& least) {
  const std::optional<int64_t> current = NumberAfter(FileText(folder + "/memory.current"), "");
  if (!current.has_value()) return;
  const int64_t cache = FileCache(folder, "");
  const auto left = [&](const char* file) {
    return Minus(NumberAfter(FileText(folder + "/" + file), ""), *current - cache);
  };
  least.Add(left("memory.max"), "cgroup memory.max");
  least.Add(left("memory.high"), "cgroup memory.high");  // beyond it a process hardly runs
}

void AddVersion1(const std::string& folder, Least& least) {
  const std::optional<int64_t> usage = NumberAfter(FileText(folder + "/memory.usage_in_bytes"), "");
  if (!usage.has_value()) return;
  const int64_t cache = FileCache(folder, "total_");
  least.Add(Minus(NumberAfter(FileText(folder + "/memory.limit_in_bytes"), ""), *usage - cache),
            "cgroup memory.limit_in_bytes");
}

void AddControlGroups(const std::string& root, Least& least) {
  for (const std::string& folder : ControlGroupFolders("memory", root)) {
    AddVersion2(folder, least);
    AddVersion1(folder, least);
  }
}

void AddMachine(const std::string& root, Least& least) {
  const std::string memory = FileText(root + "/proc/meminfo");
  const auto kilobytes = [&](const std::string& name) -> std::optional<int64_t> {
    const std::optional<int64_t> value = NumberAfter(memory, name);
    if (!value.has_value()) return std::nullopt;
    return *value * kKilobyte;
  };
  least.Add(kilobytes("MemAvailable:"), "free memory of the machine");
  const bool strict = NumberAfter(FileText(root + "/proc/sys/vm/overcommit_memory"), "") == 2;
  if (strict) {
    least.Add(Minus(kilobytes("CommitLimit:"), kilobytes("Committed_AS:")),
              "commit limit of the machine");
  }
}

// The soft limits, of what the process itself has mapped.
void AddUlimits(const std::string& root, Least& least) {
  const std::string limits = FileText(root + "/proc/self/limits");
  const std::string status = FileText(root + "/proc/self/status");
  const auto left = [&](const std::string& limit, const std::string& used) {
    return Minus(NumberAfter(limits, limit), NumberAfter(status, used).value_or(0) * kKilobyte);
  };
  least.Add(left("Max address space", "VmSize:"), "ulimit -v");
  least.Add(left("Max data size", "VmData:"), "ulimit -d");
}

}  // namespace

MemoryRoom HostMemoryRoom(int processes, const std::string& root) {
  Least shared;
  AddControlGroups(root, shared);
  AddMachine(root, shared);
  Least least;
  least.Add(shared.room().bytes / processes, shared.room().limit.c_str());
  AddUlimits(root, least);
  return least.room();
}

}  // namespace cogwheel
