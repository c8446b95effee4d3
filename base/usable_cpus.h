#pragma once

#include <optional>
#include <string>

// How many CPUs this process may keep busy, which in a container is often far below the machine's.
namespace cogwheel {

// At least 1: the CPUs of this thread's affinity mask, or fewer where a quota of its control groups
// says so. Any thread.
int UsableCpus();

// The least CPU quota of this process's control group (versions 1 and 2) and those above it, in
// CPUs, rounded up, at least 1. Nothing: no quota, or no control groups. What cannot be read or
// understood limits nothing. `root` stands before /proc and /sys, for tests.
std::optional<int> CpuQuota(const std::string& root = "");

// Of time in µs within each period, rounded up; nothing unless both are above 0 (version 1 writes
// -1 for no quota, version 2 "max").
std::optional<int> QuotaCpus(const std::string& quota_us, const std::string& period_us);

}  // namespace cogwheel
