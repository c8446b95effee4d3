#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/metrics/server_metrics.h"

namespace cogwheel {

// Whether the store and its disk take what the frontend must write: not from the first write that
// fails by their own fault until a probe has passed. While they do not no job is claimed and
// /readyz is false; a disk that is only slow changes nothing. The log has a line at each edge, and
// none between. Thread-safe.
class StoreHealth {
 public:
  StoreHealth(const Clock& clock, ServerMetrics& metrics);

  // `what` could not be done; `why` is a store's fault and may name paths.
  void Failed(std::string_view what, const absl::Status& why) COGWHEEL_EXCLUDES(mutex_);
  // A probe found room and could write, that began when there had been so many failures. One that
  // came since counts more.
  void Passed(int64_t failures) COGWHEEL_EXCLUDES(mutex_);
  // So far.
  int64_t failures() const COGWHEEL_EXCLUDES(mutex_);

  bool ok() const COGWHEEL_EXCLUDES(mutex_);
  // What clients may know of why it is not ok; "" while it is.
  std::string reason() const COGWHEEL_EXCLUDES(mutex_);

 private:
  const Clock& clock_;
  ServerMetrics& metrics_;
  mutable Mutex mutex_;
  std::string reason_ COGWHEEL_GUARDED_BY(mutex_);  // "" = ok
  int64_t failures_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  int64_t failures_before_ COGWHEEL_GUARDED_BY(mutex_) = 0;  // the edge
  std::chrono::steady_clock::time_point since_ COGWHEEL_GUARDED_BY(mutex_){};
};

}  // namespace cogwheel
