#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/status.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/sha256.h"
#include "cogwheel/v1/video_service.pb.h"
#include "server/job/input_rows.h"
#include "server/job/input_store.h"
#include "server/schedule/admission.h"

namespace cogwheel {

// What an input takes up of what a tenant may have queued, and under which name.
JobCost CostOfInput(const std::string& tenant, int64_t size_bytes);
std::string PlaceOfInput(const std::string& tenant, const std::string& sha256);

// An input of a tenant while it is uploaded: each piece is on the disk, and counted, before the
// next is asked for. Every call blocks; one at a time.
class Upload {
 public:
  struct Parts {
    InputStore& inputs;
    InputRows& rows;
    AdmissionLedger& ledger;
    const Clock& clock;
    Mutex& picture;  // one upload at a time has its picture in memory
    std::string tenant;
    std::string place;  // of this upload alone
  };
  explicit Upload(Parts parts) : parts_(std::move(parts)) {}
  ~Upload() { parts_.ledger.Release(parts_.place); }
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // INVALID_ARGUMENT (INPUT), RESOURCE_EXHAUSTED (TENANT_QUOTA, QUEUE_BYTES), or the store's
  // errors. Not after one, nor after the last piece.
  absl::Status Take(const v1::Chunk& piece);
  // The last piece was taken.
  bool complete() const { return complete_; }
  // Once complete: answers when bytes and row are durable.
  void Keep(Answer<v1::Input> done);

 private:
  absl::Status Check(const v1::Chunk& piece) const;
  absl::Status CheckStated(const v1::Chunk& last) const;
  absl::StatusOr<std::string> ImageRefusal() const;

  const Parts parts_;
  std::unique_ptr<InputWriter> writer_;  // from the first piece on
  Sha256 sha_;
  std::string sha256_;  // once complete
  int64_t size_bytes_ = 0;
  bool complete_ = false;
};

}  // namespace cogwheel
