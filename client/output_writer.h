#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace cogwheel {

// Where a result goes. Thread-compatible. Local file errors are FAILED_PRECONDITION.
class OutputWriter {
 public:
  // A file that appears complete or not at all (VideoWriter), or for `-` standard output
  // (PipeWriter). Refuses what cannot be written.
  static absl::StatusOr<std::unique_ptr<OutputWriter>> Create(const std::string& output);
  virtual ~OutputWriter() = default;

  // Bytes that are already there are skipped; OUT_OF_RANGE for a piece behind a gap.
  virtual absl::Status Write(int64_t offset, std::string_view data) = 0;
  // Forgets everything written.
  virtual absl::Status Restart() = 0;
  virtual int64_t size() const = 0;
  // A file to be removed by who leaves at once; "" when there is none.
  virtual std::string temporary() const = 0;

  // DATA_LOSS when what was written is not the result with this size and SHA-256 (lower-case hex).
  virtual absl::Status Check(int64_t size_bytes, const std::string& sha256) = 0;
  // Makes the file appear under its name.
  virtual absl::Status Commit() = 0;
};

}  // namespace cogwheel
