#include "server/store/files/data_dir_lock.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "server/store/files/durable_files.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDatabase = "cogwheel.sqlite";  // and what begins so
// What else stands in a data directory: files, and folders of them.
constexpr std::array<std::string_view, 5> kOwn = {"lock", "artefacts", "inputs", "tmp",
                                                  "costs.json"};

bool IsOwn(const std::string& name) {
  return name.starts_with(kDatabase) || std::ranges::find(kOwn, name) != kOwn.end();
}

// Takes everybody else's rights away. Where that is not ours to do, as on a volume of another
// owner, the rights stay as they were given.
void MakePrivate(const fs::path& path, mode_t mode) {
  struct stat about;
  if (lstat(path.c_str(), &about) != 0 || S_ISLNK(about.st_mode)) return;
  if ((about.st_mode & (S_IRWXG | S_IRWXO)) == 0 || chmod(path.c_str(), mode) == 0) return;
  Log(LogLevel::kWarning, "others may read what the server stores",
      {{"path", path.string()}, {"error", std::strerror(errno)}});
}

// Of a release before, under a wide umask.
void MakeAllPrivate(const fs::path& data_dir) {
  std::error_code error;
  fs::recursive_directory_iterator entries(data_dir, error);
  for (; !error && entries != fs::end(entries); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    const bool folder = entries->is_directory(error);
    if (entries.depth() > 0 || IsOwn(name)) {
      MakePrivate(entries->path(), folder ? kPrivateFolder : kPrivateFile);
    } else if (folder) {
      entries.disable_recursion_pending();
    }
  }
}

// A folder that holds other things too keeps its rights: it may be a home, or /tmp.
bool IsOurs(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::end(entries); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (!IsOwn(name) && name != "lost+found") return false;
  }
  return !error;
}

}  // namespace

absl::StatusOr<DataDirLock> DataDirLock::Take(const std::string& data_dir) {
  const auto refuse = [&data_dir](std::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("--data-dir ", data_dir, ": ", std::string(why)));
  };
  std::error_code error;
  fs::create_directories(data_dir, error);
  if (error) return refuse(error.message());
  if (IsOurs(data_dir)) MakePrivate(data_dir, kPrivateFolder);
  const std::string path = absl::StrCat(data_dir, "/lock");
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kPrivateFile));
  if (!file.ok()) return refuse(std::strerror(errno));
  if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    return refuse(errno == EWOULDBLOCK ? "another cogwheel-server uses it" : std::strerror(errno));
  }
  MakeAllPrivate(data_dir);
  return DataDirLock(std::move(file));
}

}  // namespace cogwheel
