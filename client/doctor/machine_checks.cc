#include <absl/strings/str_cat.h>

#include "client/doctor/machine.h"

namespace cogwheel {
namespace {

constexpr double kMib = 1024.0 * 1024;
// Counted while a job ran: threads of frontend, client and launcher together, and of a rank beside
// its compute threads, which all ranks share the CPUs for; files of the frontend, which holds most,
// and how many more with each rank.
constexpr int64_t kFrontendTasks = 28, kRankTasks = 14;
constexpr int64_t kFrontendFiles = 32, kFilesOfRank = 4;
// Of a frontend: its service and its admin port; of a rank: where its peers reach it.
constexpr int64_t kFrontendPorts = 2;
// What NVIDIA's guide sets for NCCL; what its buffers of a rank take where GPUs do not reach each
// other, about.
constexpr double kSharedMemoryBytes = 1024 * kMib, kLeastSharedMemoryBytes = 32 * kMib;
// For the store, its log and a clip of the published sizes in H.264; and for one as frames.
constexpr double kLeastTemporaryBytes = 64 * kMib, kTemporaryBytes = 512 * kMib;

std::string Ranks(int ranks) { return absl::StrCat(ranks, ranks == 1 ? " rank" : " ranks"); }

std::string Text(double bytes) { return BytesText(bytes); }

Finding CheckCpus(const MachineState& machine, const MachineNeeds& needs) {
  const bool by_quota = machine.cpu_quota.has_value() && *machine.cpu_quota <= machine.cpus;
  const int cpus = by_quota ? *machine.cpu_quota : machine.cpus;
  const std::string what =
      absl::StrCat(cpus, cpus == 1 ? " CPU" : " CPUs", by_quota ? " (cgroup quota)" : "", " for ",
                   Ranks(needs.ranks));
  if (cpus >= needs.ranks) return {FindingLevel::kOk, "cpus", what, ""};
  return {FindingLevel::kWarning, "cpus", what,
          absl::StrCat(by_quota ? "raise the quota (cpu.max, docker run --cpus, limits.cpu) to "
                                : "give the process ",
                       needs.ranks, " CPUs, or take a mesh of ", cpus)};
}

Finding CheckTasks(const MachineState& machine, const MachineNeeds& needs) {
  const int64_t wanted = kFrontendTasks + kRankTasks * needs.ranks + 2 * machine.cpus;
  const std::string for_whom =
      absl::StrCat(" where a run with ", Ranks(needs.ranks), " takes about ", wanted);
  if (machine.task_room.value_or(wanted) < wanted) {
    return {FindingLevel::kFault, "processes",
            absl::StrCat("cgroup pids.max leaves room for ", *machine.task_room,
                         " processes and threads", for_whom),
            absl::StrCat("raise it by ", wanted - *machine.task_room,
                         " or more (docker run --pids-limit, podPidsLimit)")};
  }
  if (machine.task_limit.value_or(wanted) < wanted) {
    return {FindingLevel::kFault, "processes",
            absl::StrCat("ulimit -u is ", *machine.task_limit, for_whom),
            absl::StrCat("raise it to ", wanted, " or more, beside what this user runs already")};
  }
  return {FindingLevel::kOk, "processes", absl::StrCat("room for ", wanted, " or more"), ""};
}

Finding CheckOpenFiles(const MachineState& machine, const MachineNeeds& needs) {
  const int64_t wanted = kFrontendFiles + kFilesOfRank * needs.ranks;
  if (machine.open_file_limit.value_or(wanted) >= wanted) {
    return {FindingLevel::kOk, "open files", absl::StrCat("room for ", wanted, " or more"), ""};
  }
  return {FindingLevel::kFault, "open files",
          absl::StrCat("ulimit -n is ", *machine.open_file_limit, " where a run with ",
                       Ranks(needs.ranks), " takes about ", wanted),
          absl::StrCat("ulimit -n ", wanted, " or more")};
}

Finding CheckPorts(const MachineState& machine, const MachineNeeds& needs) {
  // Each connection between two of ours takes one too.
  const int64_t wanted = kFrontendPorts + needs.ranks * (2 + needs.ranks);
  if (machine.port_count.value_or(wanted) >= wanted) {
    return {FindingLevel::kOk, "port range", absl::StrCat(wanted, " or more"), ""};
  }
  return {FindingLevel::kFault, "port range",
          absl::StrCat("net.ipv4.ip_local_port_range holds ", *machine.port_count,
                       " ports where a run with ", Ranks(needs.ranks), " takes ", wanted),
          "sysctl net.ipv4.ip_local_port_range='32768 60999'"};
}

Finding CheckSharedMemory(const MachineState& machine, const MachineNeeds& needs) {
  const Volume& volume = machine.shared_memory;
  const double free_bytes = static_cast<double>(volume.free_bytes);
  if (!needs.on_gpus || needs.ranks == 1) {
    return {FindingLevel::kOk, "shared memory", "not needed: one rank, or ranks on the CPU", ""};
  }
  const char* const way_out =
      "docker run --shm-size=1g, a memory-backed emptyDir at /dev/shm, or mount -o "
      "remount,size=1g /dev/shm";
  if (volume.bytes == 0) {
    return {FindingLevel::kFault, "shared memory", volume.path + " is not there, which NCCL needs",
            way_out};
  }
  const std::string what = absl::StrCat(volume.path, " has ", Text(free_bytes), " free");
  if (free_bytes >= kSharedMemoryBytes) return {FindingLevel::kOk, "shared memory", what, ""};
  const bool stops = free_bytes < kLeastSharedMemoryBytes * needs.ranks;
  return {stops ? FindingLevel::kFault : FindingLevel::kWarning, "shared memory",
          absl::StrCat(what, " where NCCL between ", Ranks(needs.ranks), " may ask for ",
                       Text(kSharedMemoryBytes)),
          way_out};
}

Finding CheckTemporary(const MachineState& machine) {
  const Volume& volume = machine.temporary;
  const double free_bytes = static_cast<double>(volume.free_bytes);
  const std::string what =
      absl::StrCat("temporary folder ", volume.path, " has ", Text(free_bytes), " free");
  const std::string way_out = absl::StrCat("free ", Text(kTemporaryBytes),
                                           " there, or set TMPDIR to a folder that has them");
  if (volume.bytes == 0) {
    return {FindingLevel::kFault, "disk",
            absl::StrCat("temporary folder ", volume.path, " cannot be used"),
            "set TMPDIR to a folder that is there and can be written"};
  }
  if (free_bytes >= kTemporaryBytes) return {FindingLevel::kOk, "disk", what, ""};
  const bool stops = free_bytes < kLeastTemporaryBytes;
  return {stops ? FindingLevel::kFault : FindingLevel::kWarning, "disk", what, way_out};
}

// Only where a GPU's driver is there: a machine without one is no worse for it.
Findings CheckUnusedGpu(const MachineState& machine, const MachineNeeds& needs) {
  if (machine.gpu_driver.empty() || needs.on_gpus || needs.cpu_asked) return {};
  return {{FindingLevel::kWarning, "gpu",
           absl::StrCat("NVIDIA's driver ", machine.gpu_driver,
                        " is there, but ranks would run on the CPU"),
           "see doctor --device cuda for what stops them, or say --device cpu"}};
}

}  // namespace

Findings CheckMachine(const MachineState& machine, const MachineNeeds& needs) {
  Findings findings = {CheckCpus(machine, needs),         CheckTasks(machine, needs),
                       CheckOpenFiles(machine, needs),    CheckPorts(machine, needs),
                       CheckSharedMemory(machine, needs), CheckTemporary(machine)};
  const Findings gpu = CheckUnusedGpu(machine, needs);
  findings.insert(findings.end(), gpu.begin(), gpu.end());
  return findings;
}

}  // namespace cogwheel
