#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/answer.h"

namespace cogwheel {

// An input while it arrives. Destroyed without Commit it leaves nothing behind. Every call blocks;
// owned by one thread at a time.
class InputWriter {
 public:
  virtual ~InputWriter() = default;
  // After an error nothing more is to be asked.
  virtual absl::Status Append(std::string_view bytes) = 0;
  // All that was appended.
  virtual absl::StatusOr<std::string> Contents() const = 0;
  // Durable, and found by its digest, when it returns.
  virtual absl::Status Commit(const std::string& sha256) = 0;
};

// What jobs start from: bytes, found by their digest. They are put before the job that names them
// is stored. Thread-safe. Errors of the store itself are as JobStore's.
class InputStore {
 public:
  using Bytes = std::shared_ptr<const std::string>;
  virtual ~InputStore() = default;

  // Durable when it answers, with the digest (lower-case hex SHA-256). Bytes that are there are put
  // again: what is stored may be damaged, and is swept by its age.
  virtual void Put(Bytes bytes, Answer<std::string> done) = 0;
  // For a job that was claimed: never refused, and not behind those that are put. DATA_LOSS
  // (CHECKSUM) when the bytes are not there or not those of the digest.
  virtual void Read(const std::string& sha256, Answer<Bytes> done) = 0;
  // For bytes that come in pieces. Blocks.
  virtual absl::StatusOr<std::unique_ptr<InputWriter>> Begin() = 0;
};

}  // namespace cogwheel
