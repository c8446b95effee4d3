#include "server/store/sqlite/store_backup.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/status.h"
#include "server/job/store_error.h"
#include "server/store/files/file_descriptor.h"
#include "server/store/sqlite/sqlite.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kOwnFolder = 0700, kOwnFile = 0600;

// The path is for the log: a caller has no use for it.
absl::Status Failed(std::string_view action, const fs::path& path, int error) {
  Log(LogLevel::kError, "a backup cannot be written",
      {{"action", std::string(action)}, {"path", path.string()}, {"error", std::strerror(error)}});
  return BackupError(absl::StrCat("the backup cannot be written: ", std::strerror(error)));
}

// Not SyncFile: the disk of backups is not the store's, which the process would end for.
absl::Status Sync(const fs::path& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok() || fsync(file.fd()) != 0) return Failed("sync", path, errno);
  return absl::OkStatus();
}

absl::Status MakeFolder(const fs::path& path) {
  if (mkdir(path.c_str(), kOwnFolder) == 0 || errno == EEXIST) return absl::OkStatus();
  return Failed("make", path, errno);
}

absl::Status Copy(const std::string& database, const fs::path& target) {
  const FileDescriptor made(
      open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kOwnFile));
  if (!made.ok()) return Failed("create", target, errno);
  const auto source = Connection::Open(database, /*vfs=*/"", Connection::Mode::kRead);
  if (!source.ok()) return source.status();
  const absl::Status copied = (*source)->CopyTo(target.string());
  if (copied.ok()) return Sync(target);
  Log(LogLevel::kError, "the store cannot be copied", {{"error", StoreDetail(copied)}});
  return BackupError("the backup cannot be written");
}

// The folder has its name only when all of it is on the disk.
absl::Status Publish(const fs::path& partial, const fs::path& whole) {
  absl::Status done = Sync(partial);
  if (!done.ok()) return done;
  if (rename(partial.c_str(), whole.c_str()) != 0) return Failed("rename", whole, errno);
  return Sync(whole.parent_path());
}

}  // namespace

absl::Status BackupError(std::string_view why) {
  return MakeError(absl::StatusCode::kUnavailable, "BACKUP", why);
}

absl::StatusOr<BackupMade> BackUpDatabase(const std::string& database, const fs::path& folder,
                                          const std::string& name) {
  const fs::path whole = folder / name;
  const fs::path partial = folder / absl::StrCat(".", name, ".partial");
  std::error_code error;
  if (fs::exists(whole, error)) {
    return MakeError(absl::StatusCode::kAlreadyExists, "BACKUP_EXISTS",
                     absl::StrCat("name ", name, " is already a backup; choose another"));
  }
  absl::Status done = MakeFolder(folder);
  if (!done.ok()) return done;
  fs::remove_all(partial, error);
  const absl::Cleanup remove = [&partial] {  // nothing once it is published
    std::error_code ignored;
    fs::remove_all(partial, ignored);
  };
  done = MakeFolder(partial);
  if (done.ok()) done = Copy(database, partial / "cogwheel.sqlite");
  if (done.ok()) done = Publish(partial, whole);
  if (!done.ok()) return done;
  const auto size = static_cast<int64_t>(fs::file_size(whole / "cogwheel.sqlite", error));
  return BackupMade{name, error ? 0 : size};
}

}  // namespace cogwheel
