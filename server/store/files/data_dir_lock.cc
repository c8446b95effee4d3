#include "server/store/files/data_dir_lock.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>

#include <absl/strings/str_cat.h>

namespace cogwheel {

absl::StatusOr<DataDirLock> DataDirLock::Take(const std::string& data_dir) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  const auto refuse = [&data_dir](std::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("--data-dir ", data_dir, ": ", std::string(why)));
  };
  if (error) return refuse(error.message());
  const std::string path = absl::StrCat(data_dir, "/lock");
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!file.ok()) return refuse(std::strerror(errno));
  if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    return refuse(errno == EWOULDBLOCK ? "another cogwheel-server uses it" : std::strerror(errno));
  }
  return DataDirLock(std::move(file));
}

}  // namespace cogwheel
