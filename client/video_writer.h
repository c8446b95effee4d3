#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace cogwheel {

// A result file that appears complete or not at all: pieces go to a temporary file in the output's
// folder, which is synced and renamed at the end and removed otherwise. Nothing is kept in memory.
// Thread-compatible. Local file errors are FAILED_PRECONDITION.
class VideoWriter {
 public:
  // Refuses an output that cannot be written: missing folder, no permission, not a regular file.
  static absl::StatusOr<std::unique_ptr<VideoWriter>> Create(const std::string& output);
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // Bytes that are already there are skipped; OUT_OF_RANGE for a piece behind a gap.
  absl::Status Write(int64_t offset, std::string_view data);
  // Forgets everything written.
  absl::Status Restart();
  int64_t size() const { return size_; }
  const std::string& temporary() const { return temporary_; }

  // DATA_LOSS when what was written is not the result with this size and SHA-256 (lower-case hex).
  absl::Status Check(int64_t size_bytes, const std::string& sha256) const;
  // Makes the file appear under its name.
  absl::Status Commit();

 private:
  VideoWriter(std::string output, std::string temporary, int fd);
  absl::Status FileError(std::string_view what) const;  // with errno's text

  const std::string output_;
  const std::string temporary_;
  int fd_;
  int64_t size_ = 0;
};

}  // namespace cogwheel
