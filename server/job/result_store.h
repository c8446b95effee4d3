#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/job.h"

namespace cogwheel {

// Bytes of a result, finished or still being written. Thread-safe.
class ResultReader {
 public:
  virtual ~ResultReader() = default;
  // At most `max_bytes` from `offset`; fewer only at the end of what is there. DATA_LOSS when the
  // bytes cannot be read.
  virtual absl::StatusOr<std::string> Read(int64_t offset, int64_t max_bytes) const = 0;
};

// One attempt's result while it arrives. Owned by the dispatcher's thread. Destroyed without Commit
// it leaves nothing behind.
class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  // Pieces come in order and without gaps; INVALID_ARGUMENT otherwise.
  virtual absl::Status Append(int64_t offset, std::string_view data) = 0;
  // Reads what was appended so far; stays valid after Commit.
  virtual std::shared_ptr<const ResultReader> reader() const = 0;
  // Makes the result durable and visible under its digest. DATA_LOSS when size or digest are not as
  // the rank stated.
  virtual absl::Status Commit(const Artefact& stated) = 0;
};

// Where results live. Thread-safe.
class ResultStore {
 public:
  virtual ~ResultStore() = default;
  virtual absl::StatusOr<std::unique_ptr<ResultWriter>> Begin(const std::string& job, int64_t epoch,
                                                              int32_t attempt) = 0;
  // NOT_FOUND (RESULT_EXPIRED) when it is gone.
  virtual absl::StatusOr<std::shared_ptr<const ResultReader>> Open(
      const Artefact& artefact) const = 0;
  virtual void Remove(const Artefact& artefact) = 0;
};

}  // namespace cogwheel
