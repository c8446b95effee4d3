#pragma once

#include <chrono>
#include <cstdint>

#include <absl/status/status.h>

#include "proto/contract/mutex.h"

namespace cogwheel {

struct QueueLimits {
  int64_t jobs = 256;
  int64_t bytes = int64_t{1} << 30;  // prompts and images
};

struct QueueLoad {
  int64_t jobs = 0;
  int64_t bytes = 0;
};

// Pure. OK, or RESOURCE_EXHAUSTED (QUEUE_JOBS, QUEUE_BYTES) naming limit and current value, with
// the time after which a place should be free: one job's.
absl::Status Admit(const QueueLimits& limits, const QueueLoad& load, int64_t job_bytes,
                   std::chrono::milliseconds job_time);

// What is queued now, over all threads. A job takes its place before it is stored and gives it back
// when it leaves the queue. Thread-safe.
class AdmissionLedger {
 public:
  explicit AdmissionLedger(QueueLimits limits) : limits_(limits) {}
  absl::Status Reserve(int64_t job_bytes) COGWHEEL_EXCLUDES(mutex_);
  void Release(int64_t job_bytes) COGWHEEL_EXCLUDES(mutex_);
  void SetJobTime(std::chrono::milliseconds job_time) COGWHEEL_EXCLUDES(mutex_);
  QueueLoad load() const COGWHEEL_EXCLUDES(mutex_);
  bool HasRoom() const COGWHEEL_EXCLUDES(mutex_);
  const QueueLimits& limits() const { return limits_; }

 private:
  const QueueLimits limits_;
  mutable Mutex mutex_;
  QueueLoad load_ COGWHEEL_GUARDED_BY(mutex_);
  std::chrono::milliseconds job_time_ COGWHEEL_GUARDED_BY(mutex_){5000};
};

}  // namespace cogwheel
