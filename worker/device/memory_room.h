#pragma once

#include <cstdint>
#include <string>

// How much more memory a process can take before it is refused or killed. No torch.
namespace cogwheel {

struct MemoryRoom {
  int64_t bytes = 0;
  std::string limit;  // what sets it, for messages: "cgroup memory.max", "ulimit -v"
};

// Of this process's host: the least of what its control group and those above it leave (versions 1
// and 2; page cache that nobody uses counts as free), of the machine's free memory, and of its own
// ulimits. What others share too is divided by `processes`, which all ask at about the same time;
// an ulimit is each process's own. `root` is put before /proc and /sys, for tests. Any thread.
MemoryRoom HostMemoryRoom(int processes, const std::string& root = "");

}  // namespace cogwheel
