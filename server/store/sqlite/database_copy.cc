#include "server/store/sqlite/database_copy.h"

#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "server/store/files/durable_files.h"
#include "server/store/files/file_descriptor.h"

namespace cogwheel {

absl::Status CopyDatabase(Connection& connection, const std::string& path) {
  const std::string unfinished = path + ".unfinished";
  const FileDescriptor file(
      open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kPrivateFile));
  if (!file.ok()) return FileError("create", unfinished);
  absl::Status copied = connection.CopyTo(unfinished);
  if (copied.ok() && fsync(file.fd()) != 0) copied = FileError("sync", unfinished);
  if (copied.ok() && rename(unfinished.c_str(), path.c_str()) != 0) {
    copied = FileError("rename", path);
  }
  if (copied.ok()) return SyncFolder(std::filesystem::path(path).parent_path());
  unlink(unfinished.c_str());
  return copied;
}

}  // namespace cogwheel
