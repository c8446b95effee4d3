#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>

// Reading a checkpoint's files. A wrong file stays wrong, a disk or file server that fails may be
// well a moment later: the two are told apart by what is thrown. No torch.
namespace cogwheel {

// The file could not be read this time, whatever is in it. Names file, offset and cause.
class ReadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Of a failed open or stat, or in a std::filesystem::filesystem_error: the path is wrong (missing,
// not permitted, no file), and stays so until somebody mends it. Any other error may pass.
inline bool IsWrongPath(const std::error_code& error) {
  for (const std::errc wrong :
       {std::errc::no_such_file_or_directory, std::errc::not_a_directory, std::errc::is_a_directory,
        std::errc::permission_denied, std::errc::operation_not_permitted,
        std::errc::too_many_symbolic_link_levels, std::errc::filename_too_long}) {
    if (error == wrong) return true;
  }
  return false;
}

// A file open for reading, on any thread. Not mapped: where it is cut off or cannot be read
// meanwhile, a read of a mapping ends the process.
class OpenFile {
 public:
  // Throws std::invalid_argument for a wrong path, else ReadError.
  explicit OpenFile(const std::string& path);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t bytes() const;  // 0 unless it is a regular file; throws ReadError

  // As many bytes as there are from `offset` on, at most into.size(); 0 at the file's end. Throws
  // ReadError, or std::invalid_argument for a folder.
  size_t ReadSome(int64_t offset, std::span<std::byte> into) const;
  // All of `into`, of bytes that the file had. Throws as ReadSome, and ReadError when it ends
  // before: it is being replaced, and a fresh start judges what comes of it.
  void Read(int64_t offset, std::span<std::byte> into) const;

 private:
  const std::string path_;
  const int fd_;
};

// All of a small file. Throws as OpenFile, and std::invalid_argument when it is larger than 16 MiB.
std::string ReadSmallFile(const std::string& path);

}  // namespace cogwheel
