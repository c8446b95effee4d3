#include "base/control_groups.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <absl/strings/str_split.h>

namespace cogwheel {
namespace {

// Where the hierarchies are mounted, by systemd and in containers.
constexpr const char* kVersion2Folders[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
constexpr char kVersion1Folder[] = "/sys/fs/cgroup/";
// A folder of version 1's that is not named for one controller.
constexpr char kSharedByCpu[] = "/sys/fs/cgroup/cpu,cpuacct";

void AddUpwards(const std::string& mounted_at, std::string path,
                std::vector<std::string>& folders) {
  while (true) {
    folders.push_back(mounted_at + path);
    if (path.empty()) return;
    path.resize(std::min(path.rfind('/'), path.size() - 1));
  }
}

}  // namespace

std::string FileText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<std::string> GroupPath(const std::string& cgroups, const std::string& controller) {
  const std::vector<std::string> lines = absl::StrSplit(cgroups, '\n');
  for (const std::string& line : lines) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    if (std::ranges::count(controllers, controller) > 0) return parts[2];
  }
  return std::nullopt;
}

std::vector<std::string> ControlGroupFolders(const std::string& controller,
                                             const std::string& root) {
  const std::string cgroups = FileText(root + "/proc/self/cgroup");
  std::vector<std::string> folders;
  if (const auto path = GroupPath(cgroups, "")) {
    for (const char* mounted_at : kVersion2Folders) AddUpwards(root + mounted_at, *path, folders);
  }
  if (const auto path = GroupPath(cgroups, controller)) {
    AddUpwards(root + kVersion1Folder + controller, *path, folders);
    if (controller == "cpu") AddUpwards(root + kSharedByCpu, *path, folders);
  }
  return folders;
}

}  // namespace cogwheel
