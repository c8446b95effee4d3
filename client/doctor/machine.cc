#include "client/doctor/machine.h"

#include <array>
#include <vector>

#include <gnu/libc-version.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>

#include "base/control_groups.h"
#include "base/usable_cpus.h"
#include "client/doctor/control_groups.h"

namespace cogwheel {
namespace {

// Those that LibTorch and OpenH264 have kernels for.
constexpr std::array<absl::string_view, 7> kInstructions = {
    "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve"};

// What follows `key` and a separator on its line: "MemTotal:  16 kB" -> "16 kB".
std::string ValueOf(const std::string& text, absl::string_view key, char separator) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(separator, 1));
    if (absl::StripAsciiWhitespace(parts.first) != key) continue;
    return std::string(absl::StripAsciiWhitespace(parts.second));
  }
  return "";
}

std::string SystemText(const std::string& root) {
  std::string name = ValueOf(FileText(root + "/etc/os-release"), "PRETTY_NAME", '=');
  if (name.size() > 2 && name.front() == '"') name = name.substr(1, name.size() - 2);
  utsname kernel = {};
  uname(&kernel);
  return absl::StrCat(name.empty() ? "unknown distribution" : name, ", ", kernel.sysname, " ",
                      kernel.release, ", glibc ", gnu_get_libc_version(), ", ", kernel.machine);
}

std::string CpuText(const std::string& root) {
  const std::string text = FileText(root + "/proc/cpuinfo");
  const std::string model = ValueOf(text, "model name", ':');
  const std::string flags = ValueOf(text, "flags", ':') + ValueOf(text, "Features", ':');
  const std::vector<std::string> all = absl::StrSplit(flags, ' ');
  std::vector<absl::string_view> known;
  for (const absl::string_view instruction : kInstructions) {
    for (const std::string& flag : all) {
      if (flag == instruction) known.push_back(instruction);
    }
  }
  return absl::StrCat(model.empty() ? "unknown model" : model, ", ",
                      known.empty() ? "none of avx2, avx512, asimd" : absl::StrJoin(known, " "));
}

int64_t KilobytesOf(const std::string& text, absl::string_view key) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(ValueOf(text, key, ':'), ' ');
  int64_t value = 0;
  return absl::SimpleAtoi(parts.first, &value) ? value * 1024 : 0;
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue ..." -> "580.95.05"
std::string DriverVersion(const std::string& root) {
  const std::string text = FileText(root + "/proc/driver/nvidia/version");
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n"))) {
    const bool number = !word.empty() && absl::ascii_isdigit(word.front());
    if (number && absl::StrContains(word, ".")) return std::string(word);
  }
  return "";
}

std::optional<int64_t> TaskRoom(const std::string& root) {
  return LeastOfGroups(root, "pids", [](const std::string& folder) -> std::optional<int64_t> {
    const std::optional<int64_t> limit = LimitIn(folder + "/pids.max");
    if (!limit.has_value()) return std::nullopt;
    return *limit - LimitIn(folder + "/pids.current").value_or(0);
  });
}

std::optional<int64_t> MemoryLimit(const std::string& root) {
  return LeastOfGroups(root, "memory", [](const std::string& folder) {
    const std::optional<int64_t> version2 = LimitIn(folder + "/memory.max");
    return version2.has_value() ? version2 : LimitIn(folder + "/memory.limit_in_bytes");
  });
}

std::optional<int64_t> Ulimit(__rlimit_resource resource) {
  rlimit limit = {};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return static_cast<int64_t>(limit.rlim_cur);
}

std::optional<int64_t> PortCount(const std::string& root) {
  const std::string text = FileText(root + "/proc/sys/net/ipv4/ip_local_port_range");
  const std::vector<std::string> ends =
      absl::StrSplit(text, absl::ByAnyChar("\t \n"), absl::SkipEmpty());
  int64_t first = 0, last = 0;
  if (ends.size() != 2 || !absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends[1], &last)) {
    return std::nullopt;
  }
  return last - first + 1;
}

Volume VolumeOf(const std::string& path, const std::string& root) {
  struct statvfs info = {};
  if (statvfs((root + path).c_str(), &info) != 0) return {.path = path};
  const int64_t block = static_cast<int64_t>(info.f_frsize);
  return {.path = path,
          .bytes = block * static_cast<int64_t>(info.f_blocks),
          .free_bytes = block * static_cast<int64_t>(info.f_bavail)};
}

}  // namespace

MachineState ReadMachine(const std::string& temporary_folder, const std::string& root) {
  const std::string memory = FileText(root + "/proc/meminfo");
  return {.system = SystemText(root),
          .cpu = CpuText(root),
          .gpu_driver = DriverVersion(root),
          .cpus = UsableCpus(),
          .cpu_quota = CpuQuota(root),
          .memory_bytes = KilobytesOf(memory, "MemTotal"),
          .available_bytes = KilobytesOf(memory, "MemAvailable"),
          .memory_limit_bytes = MemoryLimit(root),
          .task_room = TaskRoom(root),
          .task_limit = geteuid() == 0 ? std::nullopt : Ulimit(RLIMIT_NPROC),  // not held to it
          .open_file_limit = Ulimit(RLIMIT_NOFILE),
          .address_space_bytes = Ulimit(RLIMIT_AS),
          .file_bytes = Ulimit(RLIMIT_FSIZE),
          .port_count = PortCount(root),
          .shared_memory = VolumeOf("/dev/shm", root),
          .temporary = VolumeOf(temporary_folder, "")};
}

Findings MachineFacts(const MachineState& machine) {
  const auto limit = [](const std::optional<int64_t>& value, bool bytes) {
    if (!value.has_value()) return std::string("none");
    return bytes ? BytesText(static_cast<double>(*value)) : absl::StrCat(*value);
  };
  const auto volume = [](const Volume& of) {
    return absl::StrCat(of.path, " ", BytesText(static_cast<double>(of.free_bytes)), " free of ",
                        BytesText(static_cast<double>(of.bytes)));
  };
  const auto fact = [](const char* name, std::string value) {
    return Finding{FindingLevel::kFact, name, std::move(value), ""};
  };
  return {fact("system", machine.system),
          fact("cpu", absl::StrCat(machine.cpus, " usable, ", machine.cpu)),
          fact("memory", absl::StrCat(BytesText(static_cast<double>(machine.available_bytes)),
                                      " available of ",
                                      BytesText(static_cast<double>(machine.memory_bytes)))),
          fact("gpu_driver", machine.gpu_driver.empty() ? "none" : machine.gpu_driver),
          fact("cgroups",
               absl::StrCat("cpu ", machine.cpu_quota ? absl::StrCat(*machine.cpu_quota) : "none",
                            ", memory ", limit(machine.memory_limit_bytes, true),
                            ", room for tasks ", limit(machine.task_room, false))),
          fact("ulimits", absl::StrCat("address space ", limit(machine.address_space_bytes, true),
                                       ", open files ", limit(machine.open_file_limit, false),
                                       ", tasks ", limit(machine.task_limit, false), ", file size ",
                                       limit(machine.file_bytes, true))),
          fact("volumes",
               absl::StrCat(volume(machine.temporary), ", ", volume(machine.shared_memory)))};
}

}  // namespace cogwheel
