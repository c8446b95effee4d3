#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace cogwheel {

// "" when it cannot be read.
std::string FileText(const std::string& path);

// A limit as the files of control groups hold it; nothing for "max", and for what no limit is.
std::optional<int64_t> LimitIn(const std::string& file);

// The least of what `limit` says about the folders of this process's control group and those above
// it, in both versions' hierarchies of `controller` ("memory", "pids"). Folders that are not there
// limit nothing: a container sees the host's path, and of the hierarchy its own top. `root` stands
// before /proc and /sys, for tests.
std::optional<int64_t> LeastOfGroups(
    const std::string& root, const std::string& controller,
    const std::function<std::optional<int64_t>(const std::string& folder)>& limit);

}  // namespace cogwheel
