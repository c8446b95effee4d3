#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace cogwheel {

// How many processes the kernel has killed for want of memory in this process's control group
// (version 2 or 1) and those below it; where neither can be read, on the whole machine. Nothing:
// this kernel does not say. `root` stands before /proc and /sys, for tests.
std::optional<int64_t> MemoryKills(const std::string& root = "");

// When that count rose, as far as it is polled: it is of a whole group, and what it counted hours
// ago explains no death of today.
class MemoryKillWatch {
 public:
  explicit MemoryKillWatch(std::string root) : root_(std::move(root)) {}
  void Poll(std::chrono::steady_clock::time_point now);
  bool RoseSince(std::chrono::steady_clock::time_point since) const {
    return rose_.has_value() && *rose_ >= since;
  }

 private:
  std::string root_;
  std::optional<int64_t> kills_;
  std::optional<std::chrono::steady_clock::time_point> rose_;
};

}  // namespace cogwheel
