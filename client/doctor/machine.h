#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/finding.h"

namespace cogwheel {

struct Volume {
  std::string path;
  int64_t bytes = 0, free_bytes = 0;  // both 0: it is not there
};

// What this machine gives to our programs. Nothing in an optional: no limit.
struct MachineState {
  std::string system;      // "Debian GNU/Linux 12 (bookworm), Linux 6.1.0, glibc 2.36, x86_64"
  std::string cpu;         // model, and the instructions that kernels choose by
  std::string gpu_driver;  // of the kernel; "" without one
  int cpus = 1;            // that this process may use
  std::optional<int> cpu_quota;
  int64_t memory_bytes = 0, available_bytes = 0;
  std::optional<int64_t> memory_limit_bytes;  // of the control groups
  std::optional<int64_t> task_room;           // processes and threads that they still allow
  std::optional<int64_t> task_limit, open_file_limit, address_space_bytes, file_bytes;  // ulimits
  std::optional<int64_t> port_count;  // that the system chooses from; nothing: not known
  Volume shared_memory, temporary;
};

// `root` stands before /proc, /sys, /etc and /dev, for tests.
MachineState ReadMachine(const std::string& temporary_folder, const std::string& root = "");

// What a self-contained run would take of it.
struct MachineNeeds {
  int ranks = 1;
  bool on_gpus = false;
  bool cpu_asked = false;
};

// What a bug report should hold.
Findings MachineFacts(const MachineState& machine);

// Pure.
Findings CheckMachine(const MachineState& machine, const MachineNeeds& needs);

}  // namespace cogwheel
