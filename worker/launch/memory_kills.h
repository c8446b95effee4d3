#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace cogwheel {

// How many processes the kernel has killed for want of memory in this process's control group
// (version 2 or 1) and those below it; where neither can be read, on the whole machine. Nothing:
// this kernel does not say. `root` stands before /proc and /sys, for tests.
std::optional<int64_t> MemoryKills(const std::string& root = "");

}  // namespace cogwheel
