#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "base/sha256.h"
#include "client/output_writer.h"

namespace cogwheel {

// A result that goes to standard output as it comes. What is written there cannot be taken back, so
// only a job that has succeeded is written: the pieces of an attempt that is lost would stay.
class PipeWriter final : public OutputWriter {
 public:
  // Refuses a terminal. The descriptor stays the caller's.
  static absl::StatusOr<std::unique_ptr<PipeWriter>> Create(int fd);

  absl::Status Write(int64_t offset, std::string_view data) override;
  // DATA_LOSS once something was written.
  absl::Status Restart() override;
  int64_t size() const override { return size_; }
  std::string temporary() const override { return ""; }
  absl::Status Check(int64_t size_bytes, const std::string& sha256) override;
  absl::Status Commit() override { return absl::OkStatus(); }

 private:
  explicit PipeWriter(int fd) : fd_(fd) {}

  const int fd_;
  Sha256 hash_;  // of what was written
  int64_t size_ = 0;
};

}  // namespace cogwheel
