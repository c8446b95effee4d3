#include "server/store/files/input_files.h"

#include <system_error>

#include <absl/strings/str_cat.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/store/files/durable_files.h"

namespace cogwheel {

namespace fs = std::filesystem;

absl::StatusOr<InputFiles> InputFiles::Open(const std::string& data_dir) {
  const absl::Status made = MakeFolders(data_dir, {"inputs", "tmp"});
  if (!made.ok()) return made;
  return InputFiles(data_dir);
}

fs::path InputFiles::PathOf(const std::string& sha256) const {
  return data_dir_ / "inputs" / sha256;
}

absl::Status InputFiles::Write(const std::string& sha256, const std::string& bytes) const {
  return WriteDurably(data_dir_ / "tmp" / absl::StrCat("input-", sha256), PathOf(sha256), bytes);
}

absl::StatusOr<std::string> InputFiles::Read(const std::string& sha256) const {
  absl::StatusOr<std::string> bytes = ReadWhole(PathOf(sha256));
  if (!bytes.ok() && !absl::IsNotFound(bytes.status())) return bytes.status();
  if (bytes.ok() && Sha256Hex(*bytes) == sha256) return bytes;
  return MakeError(
      absl::StatusCode::kDataLoss, "CHECKSUM",
      absl::StrCat("the stored image ", sha256, " is ", bytes.ok() ? "damaged" : "gone"));
}

void InputFiles::Remove(const std::string& sha256) const {
  std::error_code error;
  fs::remove(PathOf(sha256), error);  // what stays is swept at the next start
}

absl::Status InputFiles::Sweep(
    const std::function<absl::StatusOr<bool>(const std::string& sha256)>& owned) {
  std::error_code error;
  fs::directory_iterator files(data_dir_ / "inputs", error);
  for (; !error && files != fs::end(files); files.increment(error)) {
    const std::string sha256 = files->path().filename().string();
    const absl::StatusOr<bool> wanted = owned(sha256);
    if (!wanted.ok()) return wanted.status();
    if (!*wanted) Remove(sha256);
  }
  if (!error) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "STORE",
                   absl::StrCat("cannot sweep ", data_dir_.string(), ": ", error.message()));
}

}  // namespace cogwheel
