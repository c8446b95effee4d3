#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/io_pool.h"
#include "server/events/event_log.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"

namespace cogwheel {

// What is kept of finished jobs.
struct KeepPolicy {
  KeepLimit jobs{10'000};
  KeepLimit result_bytes{int64_t{100} << 30};
  std::chrono::hours result_age{7 * 24};
};

// Removes finished jobs on request, and the oldest beyond what is kept, with their events and
// results. Files go on a pool. Thread-safe.
class Janitor {
 public:
  struct Parts {
    JobStore& store;
    ResultStore& results;
    EventLog& events;
    IoPool& pool;
    const Clock& clock;
    KeepPolicy keep;
  };
  explicit Janitor(const Parts& parts) : parts_(parts), keep_(parts.keep) {}

  // NOT_FOUND, FAILED_PRECONDITION while it is not finished.
  void Delete(const std::string& tenant, const std::string& name, Done done);
  // From now on. On the thread that calls Tick.
  void SetKept(KeepLimit jobs, KeepLimit bytes);
  // A job has ended: there may be one too many.
  void OnEnded() { ended_ = true; }
  // Trims if jobs have ended since it did or there may be more to remove, and every minute. Never
  // waits.
  void Tick();

 private:
  void Forget(const Removed& removed);

  const Parts parts_;
  KeepPolicy keep_;  // of the thread that calls Tick, as last_trim_
  std::atomic<bool> ended_{false};
  std::atomic<bool> trims_{false};  // the store has not answered yet
  std::chrono::steady_clock::time_point last_trim_{};
};

}  // namespace cogwheel
