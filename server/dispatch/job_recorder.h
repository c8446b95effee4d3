#pragma once

#include <functional>
#include <vector>

#include "base/clock.h"
#include "server/dispatch/job_end.h"
#include "server/events/job_announcer.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/metrics/server_metrics.h"

namespace cogwheel {

// What is kept of finished jobs.
struct KeepPolicy {
  int64_t jobs = 10'000;
  int64_t result_bytes = int64_t{100} << 30;
  std::chrono::hours result_age{7 * 24};
};

// Writes what became of jobs into the store and tells of it once it is there; removes finished jobs
// on request, and the oldest beyond what is kept. An end or a requeue that the store cannot
// take now is tried again on every tick: no end is forgotten, and no warning. Owned by the
// dispatcher's thread.
class JobRecorder {
 public:
  struct Parts {
    JobStore& store;
    ResultStore& results;
    EventLog& events;
    JobAnnouncer& announcer;
    const Clock& clock;
    ServerMetrics& metrics;
    KeepPolicy keep;
  };
  explicit JobRecorder(const Parts& parts) : parts_(parts) {}

  // Keeps the warnings of `job`, which runs.
  void Warn(const Job& job);
  void End(const Job& job, const JobEnd& end);
  // `requeued` is called with the job once the store has it.
  void Requeue(const Job& job, const JobError& cause, bool charged,
               std::function<void(const Job&)> requeued);
  // False while the store owes an answer: no job may start meanwhile.
  bool settled() const { return unsettled_.empty(); }
  // A finished job, as it was. NOT_FOUND, FAILED_PRECONDITION while it is not finished.
  absl::StatusOr<Job> Delete(const std::string& tenant, const std::string& name);
  void Tick();

 private:
  using Action = std::function<bool()>;  // true when done
  void Settle(Action action);
  bool StoreEnd(const Job& job, FinishedJob finished);
  bool Fenced(const absl::Status& status, const std::string& group);
  void ObserveStages(const std::string& model, const StageSeconds& seconds);
  // Jobs that are gone for good.
  void Forget(const Removed& removed);
  void Trim();

  const Parts parts_;
  std::vector<Action> unsettled_;
  bool ended_since_trim_ = false;
  std::chrono::steady_clock::time_point last_trim_{};
};

}  // namespace cogwheel
