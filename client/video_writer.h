#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "client/output_writer.h"

namespace cogwheel {

// A result file that appears complete or not at all: pieces go to a temporary file in the output's
// folder, which is synced and renamed at the end and removed otherwise. Nothing is kept in memory.
class VideoWriter final : public OutputWriter {
 public:
  // Refuses an output that cannot be written: missing folder, no permission, not a regular file.
  static absl::StatusOr<std::unique_ptr<VideoWriter>> Create(const std::string& output);
  ~VideoWriter() override;
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  absl::Status Write(int64_t offset, std::string_view data) override;
  absl::Status Restart() override;
  int64_t size() const override { return size_; }
  std::string temporary() const override { return temporary_; }
  absl::Status Check(int64_t size_bytes, const std::string& sha256) override;
  absl::Status Commit() override;

 private:
  VideoWriter(std::string output, std::string temporary, int fd);
  absl::Status FileError(std::string_view what) const;  // with errno's text

  const std::string output_;
  const std::string temporary_;
  int fd_;
  int64_t size_ = 0;
};

}  // namespace cogwheel
