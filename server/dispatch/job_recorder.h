#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/dispatch/event_loop.h"
#include "server/dispatch/job_end.h"
#include "server/dispatch/store_health.h"
#include "server/events/job_announcer.h"
#include "server/job/job_store.h"
#include "server/metrics/server_metrics.h"

namespace cogwheel {

// Which attempt of which job: what fences a change, and what it cost.
struct AttemptKey {
  std::string job;
  int64_t epoch = 0;
  int32_t attempt = 0;
  std::string group;       // that it ran on; empty: it waited
  double gpu_seconds = 0;  // that it had there
};

// Has the store write what became of jobs, and tells of it once it is there. What the store cannot
// take now is owed: asked for again, job by job, until it is taken, and no other job waits for it.
// A change that the store will never take ends its job as INTERNAL. Owned by the dispatcher's
// thread; answers come there.
class JobRecorder {
 public:
  struct Parts {
    EventLoop& loop;
    JobStore& store;
    StoreHealth& health;
    JobAnnouncer& announcer;
    const Clock& clock;
    ServerMetrics& metrics;
    std::function<void()> ended;  // a job has
  };
  explicit JobRecorder(const Parts& parts) : parts_(parts) {}

  // Called with the job as the store has it now, or why the change will never be: another attempt
  // is current (ABORTED), or the job is gone (NOT_FOUND). After Requeue the job may have ended: the
  // store refuses it.
  using Told = std::function<void(absl::StatusOr<Job>)>;
  // Keeps the warnings of `job`, which runs.
  void Warn(const Job& job);
  // `owed`, if given, is called in place of `told` when the store cannot take it at once.
  void End(const AttemptKey& key, const JobEnd& end, Told told, std::function<void()> owed = {});
  void Requeue(const AttemptKey& key, const JobError& cause, bool charged, Told told);
  void Tick();

 private:
  using Send = std::function<void()>;
  // True when the store has answered for good; else `again` is owed.
  bool Settled(const char* what, const absl::Status& status, Send again);
  void SendWarnings(const JobWarnings& known, const std::string& group);
  struct Asker {
    Told told;
    std::function<void()> owed;
  };
  void SendEnd(const AttemptKey& key, const FinishedJob& given, const Asker& asker);
  void OnEnded(const AttemptKey& key, const FinishedJob& finished, Asker asker,
               absl::StatusOr<Job> ended);
  void SendRequeue(const LostAttempt& lost, const std::string& group, const Told& told);
  void OnRequeued(const LostAttempt& lost, const std::string& group, const Told& told,
                  absl::StatusOr<Job> queued);
  void CountFenced(const absl::Status& status, const std::string& group);
  void Show(const AttemptKey& key, const Job& job);

  const Parts parts_;
  std::deque<Send> owed_;
  std::chrono::steady_clock::time_point tried_{};
};

}  // namespace cogwheel
