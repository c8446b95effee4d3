#include "client/video_writer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "base/sha256.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

// For a shell to read as one word.
std::string Quoted(const std::string& word) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+,:@%";
  if (word.find_first_not_of(kPlain) == std::string::npos && !word.starts_with("-")) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

absl::Status CheckOutput(const std::string& output) {
  const auto refused = [&](const std::string& why) {
    return absl::FailedPreconditionError(absl::StrCat("output ", output, ": ", why));
  };
  std::error_code error;
  const fs::path path(output);
  if (!path.has_filename() || fs::is_directory(path, error)) {
    return refused("is a folder; legal is the name of a file");
  }
  // The file would take the link's place, even that of /dev/stdout.
  if (fs::is_symlink(path, error)) {
    return refused("is a symbolic link; legal is the name of a file, or - for standard output");
  }
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) {
    return refused(
        "exists and is not a regular file; legal is the name of a file, or - for "
        "standard output");
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::exists(folder, error)) {
    return refused(absl::StrCat("folder ", folder.string(), " does not exist; mkdir -p -- ",
                                Quoted(folder.string()), " makes it"));
  }
  if (!fs::is_directory(folder, error)) {
    return refused(absl::StrCat(folder.string(), " is not a folder"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<VideoWriter>> VideoWriter::Create(const std::string& output) {
  const absl::Status checked = CheckOutput(output);
  if (!checked.ok()) return checked;
  const fs::path path(output);
  const fs::path hidden = absl::StrCat(".", path.filename().string(), ".", getpid(), ".part");
  const std::string temporary = (path.parent_path() / hidden).string();
  const int fd = open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("output ", output, ": cannot be written: ", std::strerror(errno)));
  }
  return std::unique_ptr<VideoWriter>(new VideoWriter(output, temporary, fd));
}

VideoWriter::VideoWriter(std::string output, std::string temporary, int fd)
    : output_(std::move(output)), temporary_(std::move(temporary)), fd_(fd) {}

VideoWriter::~VideoWriter() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

absl::Status VideoWriter::FileError(std::string_view what) const {
  return absl::FailedPreconditionError(
      absl::StrCat("output ", output_, ": ", std::string(what), ": ", std::strerror(errno)));
}

absl::Status VideoWriter::Write(int64_t offset, std::string_view data) {
  if (offset < 0 || offset > size_) {
    return absl::OutOfRangeError(absl::StrCat("a piece at byte ", offset, " follows byte ", size_));
  }
  const int64_t known = size_ - offset;
  if (known >= static_cast<int64_t>(data.size())) return absl::OkStatus();
  data.remove_prefix(known);
  while (!data.empty()) {
    const ssize_t written = pwrite(fd_, data.data(), data.size(), size_);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("writing failed");
    size_ += written;
    data.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status VideoWriter::Restart() {
  if (ftruncate(fd_, 0) != 0) return FileError("truncating failed");
  size_ = 0;
  return absl::OkStatus();
}

absl::Status VideoWriter::Check(int64_t size_bytes, const std::string& sha256) {
  if (size_ != size_bytes) {
    return absl::DataLossError(
        absl::StrCat("the result has ", size_bytes, " bytes, ", size_, " arrived"));
  }
  Sha256 hash;
  std::array<char, 64 * 1024> buffer;
  for (int64_t at = 0; at < size_;) {
    const ssize_t got = pread(fd_, buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("reading back failed");
    if (got == 0) return absl::DataLossError(absl::StrCat(temporary_, " became shorter"));
    hash.Update(std::string_view(buffer.data(), got));
    at += got;
  }
  const std::string actual = hash.HexDigest();
  if (actual == sha256) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the result's SHA-256 is ", sha256, ", that of the bytes is ", actual));
}

absl::Status VideoWriter::Commit() {
  if (fsync(fd_) != 0) return FileError("syncing failed");
  if (rename(temporary_.c_str(), output_.c_str()) != 0) return FileError("renaming failed");
  close(fd_);
  fd_ = -1;
  const fs::path parent = fs::path(output_).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  // The file is there already; a folder that cannot be synced (some network ones) is no failure.
  const int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd >= 0) {
    static_cast<void>(fsync(folder_fd));
    close(folder_fd);
  }
  return absl::OkStatus();
}

}  // namespace cogwheel
