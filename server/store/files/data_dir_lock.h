#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "server/store/files/file_descriptor.h"

namespace cogwheel {

// Holds a data directory for one server. The kernel lets go when the process ends, however it ends.
class DataDirLock {
 public:
  // Makes the directory if need be, and lets nobody but this user read it. FAILED_PRECONDITION when
  // another server holds it.
  static absl::StatusOr<DataDirLock> Take(const std::string& data_dir);

 private:
  explicit DataDirLock(FileDescriptor file) : file_(std::move(file)) {}
  FileDescriptor file_;
};

}  // namespace cogwheel
