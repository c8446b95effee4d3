#include "worker/weights/open_file.h"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cogwheel {
namespace {

constexpr size_t kMaxSmallFileBytes = 16 << 20;
constexpr size_t kPieceBytes = 64 << 10;

// `what` failed with errno.
[[noreturn]] void Fail(const std::string& what) {
  const std::error_code error(errno, std::generic_category());
  const std::string message = what + ": " + error.message();
  if (IsWrongPath(error)) throw std::invalid_argument(message);
  throw ReadError(message);
}

}  // namespace

OpenFile::OpenFile(const std::string& path)
    : path_(path), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) Fail(path + " cannot be opened");
}

OpenFile::~OpenFile() { close(fd_); }

int64_t OpenFile::bytes() const {
  struct stat info = {};
  if (fstat(fd_, &info) != 0) Fail(path_ + " cannot be asked for its size");
  return S_ISREG(info.st_mode) ? info.st_size : 0;
}

size_t OpenFile::ReadSome(int64_t offset, std::span<std::byte> into) const {
  ssize_t got = 0;
  do {
    got = pread(fd_, into.data(), into.size(), offset);
  } while (got < 0 && errno == EINTR);
  if (got < 0) Fail(path_ + " cannot be read at byte " + std::to_string(offset));
  return static_cast<size_t>(got);
}

void OpenFile::Read(int64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const size_t got = ReadSome(offset, into);
    if (got == 0) {
      throw ReadError(path_ + " was cut off while it was read: it now ends at byte " +
                      std::to_string(offset));
    }
    into = into.subspan(got);
    offset += static_cast<int64_t>(got);
  }
}

std::string ReadSmallFile(const std::string& path) {
  // Asked first, as opening a pipe would wait for its writer.
  if (!std::filesystem::is_regular_file(path)) throw std::invalid_argument(path + " is missing");
  const OpenFile file(path);
  std::string text;
  while (true) {
    const size_t before = text.size();
    text.resize(before + kPieceBytes);
    const size_t got = file.ReadSome(static_cast<int64_t>(before),
                                     std::as_writable_bytes(std::span(text).subspan(before)));
    text.resize(before + got);
    if (got == 0) return text;
    if (text.size() > kMaxSmallFileBytes) {
      throw std::invalid_argument(path + " is larger than " + std::to_string(kMaxSmallFileBytes) +
                                  " bytes");
    }
  }
}

}  // namespace cogwheel
