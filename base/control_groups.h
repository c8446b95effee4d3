#pragma once

#include <optional>
#include <string>
#include <vector>

// Where the limits of a container stand. What cannot be read limits nothing.
namespace cogwheel {

// "" when it cannot be read.
std::string FileText(const std::string& path);

// The process's group in version 1's hierarchy of the controller "cpu", or, with an empty
// `controller`, in version 2's only one: "/a/b". `cgroups` is /proc/self/cgroup, lines of
// ID:CONTROLLERS:PATH. Nothing: it is in none.
std::optional<std::string> GroupPath(const std::string& cgroups, const std::string& controller);

// The folders of this process's control group and of those above it, whose limits hold for it too:
// its own first, version 2's before version 1's of `controller` ("cpu", "memory", "pids"). Some may
// not be there: a container sees the host's path, and of the hierarchy its own top. `root` stands
// before /proc and /sys, for tests.
std::vector<std::string> ControlGroupFolders(const std::string& controller,
                                             const std::string& root);

}  // namespace cogwheel
