#include "server/store/files/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/contract/status.h"
#include "server/store/files/durable_files.h"

namespace cogwheel {

namespace fs = std::filesystem;

absl::StatusOr<std::unique_ptr<InputWriter>> InputFile::Create(fs::path temporary,
                                                               fs::path folder) {
  constexpr mode_t kFileMode = 0600;
  FileDescriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  if (!file.ok()) return FileError("create", temporary.string());
  return std::unique_ptr<InputWriter>(
      new InputFile(std::move(file), std::move(temporary), std::move(folder)));
}

InputFile::~InputFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status InputFile::Append(std::string_view bytes) {
  return WriteAll(file_.fd(), bytes, temporary_.string());
}

absl::StatusOr<std::string> InputFile::Contents() const {
  absl::StatusOr<std::string> bytes = ReadWhole(temporary_);
  if (!absl::IsNotFound(bytes.status())) return bytes;
  return MakeError(absl::StatusCode::kUnavailable, "STORE", "the file of an input is gone");
}

absl::Status InputFile::Commit(const std::string& sha256) {
  SyncFile(file_.fd(), temporary_.string());
  const fs::path target = folder_ / sha256;
  if (rename(temporary_.c_str(), target.c_str()) != 0) return FileError("rename", target.string());
  temporary_.clear();
  return SyncFolder(folder_);
}

}  // namespace cogwheel
