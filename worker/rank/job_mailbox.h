#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <variant>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/mutex.h"
#include "worker/pipeline/job_spec.h"

namespace cogwheel {

// What the frontend orders, as plain values.
struct AssignOrder {
  int64_t epoch = 0;
  int world_rank = 0;
  std::vector<std::string> peer_addresses;  // by world rank
  std::string token;
};
struct RunOrder {
  JobSpec spec;             // has_image: image_rgb is still empty
  std::string image_bytes;  // PNG or JPEG; world rank 0 only
  absl::Status problem;     // why this rank can make nothing of the job, where it cannot
  // Once it is planned:
  std::vector<std::string> warnings;  // for its owner
  double decode_in_steps = 0;         // Pipeline::DecodeInSteps
};
struct StartOrder {
  int64_t epoch = 0;
  int64_t job_sequence = 0;
};
struct DropOrder {
  int64_t epoch = 0;
  int64_t job_sequence = 0;
};
struct ShutdownOrder {
  int64_t epoch = 0;
  std::string reason;
};
// The stream to the frontend ended.
struct LinkLost {
  enum class Why {
    kFrontendGone,  // unreachable, silent or shut down
    kSentAway,      // the frontend ended this rank's epoch
    kRefused,       // it does not want this rank as it is: no use in a restart
  };
  std::string reason;
  Why why = Why::kFrontendGone;
};
using Order = std::variant<AssignOrder, RunOrder, StartOrder, DropOrder, ShutdownOrder, LinkLost>;

// Orders on their way from the control stream (which never waits) to the rank thread (which waits
// with a limit). Bounded. Thread-safe.
class JobMailbox {
 public:
  explicit JobMailbox(size_t capacity) : capacity_(capacity) {}

  // RESOURCE_EXHAUSTED when full: the frontend sent more than the protocol allows. CANCELLED after
  // Close.
  absl::Status Push(Order order);
  // The next order; DEADLINE_EXCEEDED after `limit`, CANCELLED when closed and empty.
  absl::StatusOr<Order> Pop(std::chrono::nanoseconds limit);
  // No more orders; wakes Pop. Orders already here are still handed out.
  void Close();

 private:
  const size_t capacity_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Order> orders_ COGWHEEL_GUARDED_BY(mutex_);
  bool closed_ COGWHEEL_GUARDED_BY(mutex_) = false;
};

}  // namespace cogwheel
