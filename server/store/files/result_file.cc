#include "server/store/files/result_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "proto/contract/status.h"
#include "server/store/files/durable_files.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kFileMode = 0600;

}  // namespace

absl::Status SetRoomAside(int fd, int64_t bytes, const std::string& path) {
  if (bytes <= 0) return absl::OkStatus();
  // Asked first: the kernel would take all that there is before it says that it is too little, and
  // whoever else writes then finds the disk full.
  struct statvfs about;
  if (fstatvfs(fd, &about) == 0 &&
      static_cast<int64_t>(about.f_bavail) < bytes / static_cast<int64_t>(about.f_frsize)) {
    errno = ENOSPC;
    return FileError("set room aside in", path);
  }
  for (;;) {
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0) return absl::OkStatus();
    if (errno == EOPNOTSUPP || errno == ENOSYS) return absl::OkStatus();
    if (errno != EINTR) return FileError("set room aside in", path);
  }
}

absl::StatusOr<std::string> FileReader::Read(int64_t offset, int64_t max_bytes) const {
  std::string bytes(static_cast<size_t>(max_bytes), '\0');
  int64_t count = 0;
  while (count < max_bytes) {
    const ssize_t got = pread(file_.fd(), bytes.data() + count,
                              static_cast<size_t>(max_bytes - count), offset + count);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return MakeError(absl::StatusCode::kDataLoss, "READ_ERROR",
                       absl::StrCat("the result cannot be read: ", std::strerror(errno)));
    }
    if (got == 0) break;
    count += got;
  }
  bytes.resize(static_cast<size_t>(count));
  return bytes;
}

absl::StatusOr<std::unique_ptr<ResultFile>> ResultFile::Create(const std::string& path,
                                                               int64_t most_bytes) {
  FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  if (!file.ok()) return FileError("create", path);
  FileDescriptor for_reading(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  absl::Status ready =
      for_reading.ok() ? SetRoomAside(file.fd(), most_bytes, path) : FileError("open", path);
  if (!ready.ok()) {
    unlink(path.c_str());
    return ready;
  }
  auto reader = std::make_shared<const FileReader>(std::move(for_reading));
  return std::unique_ptr<ResultFile>(new ResultFile(std::move(file), std::move(reader), path));
}

absl::Status ResultFile::Fail(absl::Status why) {
  failed_ = std::move(why);
  Discard();
  return failed_;
}

absl::Status ResultFile::Append(int64_t offset, std::string_view bytes) {
  if (!failed_.ok()) return failed_;
  if (offset != size_) {
    return Fail(MakeError(
        absl::StatusCode::kInvalidArgument, "RESULT_ORDER",
        absl::StrCat("a piece of the result has offset ", offset, " instead of ", size_)));
  }
  const absl::Status written = WriteAll(file_.fd(), bytes, path_);
  if (!written.ok()) return Fail(written);
  Failpoint("result.after_append");
  sha_.Update(bytes);
  size_ += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

absl::Status ResultFile::CheckStated(const Artefact& stated) {
  const std::string sha256 = sha_.HexDigest();
  if (stated.size_bytes == size_ && stated.sha256 == sha256) return absl::OkStatus();
  return Fail(
      MakeError(absl::StatusCode::kDataLoss, "RESULT_DIGEST",
                absl::StrCat("the result arrived with ", size_, " bytes and digest ", sha256,
                             ", the rank stated ", stated.size_bytes, " and ", stated.sha256)));
}

absl::Status ResultFile::Commit(const Artefact& stated, const std::string& target) {
  if (!failed_.ok()) return failed_;
  if (!synced_) {
    const absl::Status as_stated = CheckStated(stated);
    if (!as_stated.ok()) return as_stated;
    if (ftruncate(file_.fd(), size_) != 0) return FileError("shorten", path_);
    Failpoint("result.before_sync");
    SyncFile(file_.fd(), path_);
    Failpoint("result.after_sync");
    synced_ = true;
  }
  const fs::path folder = fs::path(target).parent_path();
  std::error_code error;
  fs::create_directory(folder, error);
  const absl::Status named = SyncFolder(folder.parent_path());
  if (!named.ok()) return named;
  if (!path_.empty() && rename(path_.c_str(), target.c_str()) != 0) {
    return FileError("rename", path_);
  }
  Failpoint("result.after_rename");
  path_.clear();
  return SyncFolder(folder);
}

void ResultFile::Discard() {
  if (path_.empty()) return;
  // Readers hold the file, as a job's events do for long: the disk has its room back all the same.
  [[maybe_unused]] const int emptied = ftruncate(file_.fd(), 0);
  unlink(path_.c_str());
  path_.clear();
  file_ = FileDescriptor(-1);
}

}  // namespace cogwheel
