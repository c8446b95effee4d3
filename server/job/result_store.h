#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/answer.h"
#include "server/job/job_store.h"

namespace cogwheel {

// Bytes of a result, finished or still being written. Thread-safe.
class ResultReader {
 public:
  virtual ~ResultReader() = default;
  // At most `max_bytes` from `offset`; fewer only at the end of what is there. Blocks. DATA_LOSS
  // when the bytes cannot be read.
  virtual absl::StatusOr<std::string> Read(int64_t offset, int64_t max_bytes) const = 0;
};

// A piece of a result, and what owns its bytes: whoever waits for the owner to go waits until the
// piece was written.
struct ResultPiece {
  int64_t offset = 0;
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};

// One attempt's result while it arrives. Never makes the caller wait: what is asked for is done in
// the order of the calls, and answered from another thread. Destroyed without Commit it leaves
// nothing behind. Owned by one thread.
class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  // Pieces come in order and without gaps; INVALID_ARGUMENT (RESULT_ORDER) otherwise. Once answered
  // the bytes can be read. After an error nothing more is taken, and every answer is that error.
  virtual void Append(ResultPiece piece, Done done) = 0;
  // Reads what was appended so far; stays valid after Commit. Without one it reads nothing once the
  // writer is gone.
  virtual std::shared_ptr<const ResultReader> reader() const = 0;
  // Makes the result durable and visible under its digest; it is not removed as long as the writer
  // lives. DATA_LOSS (RESULT_DIGEST) when size or digest are not as the rank stated. An error of
  // the store itself loses nothing: to be called again.
  virtual void Commit(const Artefact& stated, Done done) = 0;
};

// Where results live. Thread-safe. Errors of the store itself are UNAVAILABLE (STORE) or
// RESOURCE_EXHAUSTED (STORE_FULL).
class ResultStore {
 public:
  struct Attempt {
    std::string job;
    int64_t epoch = 0;
    int32_t attempt = 0;
    int64_t most_bytes = 0;  // room that is set aside for it
  };
  virtual ~ResultStore() = default;
  virtual void Begin(const Attempt& attempt, Answer<std::shared_ptr<ResultWriter>> done) = 0;
  // OK when a result of `bytes` would find room now.
  virtual void CheckRoom(int64_t bytes, Done done) = 0;

  // What follows blocks.
  // NOT_FOUND (RESULT_EXPIRED) when it is gone. Who reads it compares the digest.
  virtual absl::StatusOr<std::shared_ptr<const ResultReader>> Open(
      const Artefact& artefact) const = 0;
  // Unless `jobs` has one that owns it, or an attempt is about to end with the same bytes.
  virtual void Remove(const Artefact& artefact, const JobStore& jobs) = 0;
};

}  // namespace cogwheel
