#include "client/pipe_writer.h"

#include <cerrno>
#include <cstring>

#include <unistd.h>

#include <absl/strings/str_cat.h>

namespace cogwheel {

absl::StatusOr<std::unique_ptr<PipeWriter>> PipeWriter::Create(int fd) {
  if (isatty(fd) == 1) {
    return absl::FailedPreconditionError(
        "output -: standard output is a terminal; legal is a pipe or a file, or -o FILE");
  }
  return std::unique_ptr<PipeWriter>(new PipeWriter(fd));
}

absl::Status PipeWriter::Write(int64_t offset, std::string_view data) {
  if (offset < 0 || offset > size_) {
    return absl::OutOfRangeError(absl::StrCat("a piece at byte ", offset, " follows byte ", size_));
  }
  const int64_t known = size_ - offset;
  if (known >= static_cast<int64_t>(data.size())) return absl::OkStatus();
  data.remove_prefix(known);
  while (!data.empty()) {
    const ssize_t written = write(fd_, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("output -: standard output cannot be written: ", std::strerror(errno)));
    }
    hash_.Update(data.substr(0, written));
    size_ += written;
    data.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status PipeWriter::Restart() {
  if (size_ == 0) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(size_, " bytes that are not the result's went to standard output"));
}

absl::Status PipeWriter::Check(int64_t size_bytes, const std::string& sha256) {
  if (size_ != size_bytes) {
    return absl::DataLossError(
        absl::StrCat("the result has ", size_bytes, " bytes, ", size_, " arrived"));
  }
  const std::string actual = hash_.HexDigest();
  if (actual == sha256) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the result's SHA-256 is ", sha256, ", that of the bytes is ", actual));
}

}  // namespace cogwheel
