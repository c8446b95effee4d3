#include "server/store/files/durable_files.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "server/job/store_error.h"
#include "server/store/files/file_descriptor.h"

namespace cogwheel {

void EndOnFailedSync(const std::string& path, const std::string& why) {
  Log(LogLevel::kError, "a sync to disk failed; the process ends",
      {{"path", path}, {"error", why}});
  _exit(kDiskFailedExit);
}

absl::Status FileError(std::string_view action, const std::string& path) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  return StoreError(
      full ? StoreFault::kFull : StoreFault::kFailed,
      absl::StrCat("cannot ", std::string(action), " ", path, ": ", std::strerror(error)));
}

absl::Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t written = write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("write", path);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

void SyncFile(int fd, const std::string& path) {
  if (fsync(fd) != 0) EndOnFailedSync(path, std::strerror(errno));
}

absl::Status SyncFolder(const std::filesystem::path& folder) {
  const FileDescriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.ok()) return FileError("open", folder.string());
  SyncFile(opened.fd(), folder.string());
  return absl::OkStatus();
}

absl::Status MakeFolders(const std::filesystem::path& data_dir,
                         std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::error_code error;
    std::filesystem::create_directories(data_dir / name, error);
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat("--data-dir ", data_dir.string(), ": ", error.message()));
    }
  }
  return SyncFolder(data_dir);
}

absl::Status MakePrivateFile(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kPrivateFile));
  return file.ok() ? absl::OkStatus() : FileError("create", path);
}

absl::Status WriteDurably(const std::filesystem::path& temporary,
                          const std::filesystem::path& target, std::string_view bytes) {
  const FileDescriptor file(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kPrivateFile));
  if (!file.ok()) return FileError("create", temporary.string());
  const absl::Status written = WriteAll(file.fd(), bytes, temporary.string());
  if (!written.ok()) {
    unlink(temporary.c_str());
    return written;
  }
  SyncFile(file.fd(), temporary.string());
  if (rename(temporary.c_str(), target.c_str()) != 0) return FileError("rename", target.string());
  return SyncFolder(target.parent_path());
}

absl::StatusOr<std::string> ReadWhole(const std::filesystem::path& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok() && errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat(path.string(), " does not exist"));
  }
  struct stat about;
  if (!file.ok() || fstat(file.fd(), &about) != 0) return FileError("open", path.string());
  std::string bytes(static_cast<size_t>(about.st_size), '\0');
  size_t count = 0;
  while (count < bytes.size()) {
    const ssize_t got = read(file.fd(), bytes.data() + count, bytes.size() - count);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", path.string());
    if (got == 0) break;
    count += static_cast<size_t>(got);
  }
  bytes.resize(count);
  return bytes;
}

}  // namespace cogwheel
