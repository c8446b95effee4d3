#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "server/events/event_log.h"
#include "server/job/job_store.h"
#include "server/job/run.h"

namespace cogwheel {

// A job that waits, as its watchers are told of it.
struct QueueEntry {
  std::string name;
  int32_t attempt = 0;             // that it has had
  int position = 0;                // among the jobs of its model, 1 = next
  std::optional<double> start_in;  // seconds, if it can be told
  std::string waiting_for;         // why it waits for more than its turn
};

// Says on the event log what happens to jobs. A job that nothing happens to is mentioned again
// every 30 s, so that idle streams stay open through proxies. Owned by the dispatcher's thread.
class JobAnnouncer {
 public:
  JobAnnouncer(EventLog& events, const Clock& clock) : events_(events), clock_(clock) {}

  // All that wait, in order: says which positions or reasons changed.
  void Queue(const std::vector<QueueEntry>& entries);
  // On a group that serves the checkpoint `model_digest`.
  void Started(const Job& job, const std::string& model_digest);
  struct Pace {
    double fraction = 0;                 // of the whole job
    std::optional<double> seconds_left;  // of the whole job
  };
  void Progress(const Job& job, const RunProgress& progress, const Pace& pace);
  void Preview(const Job& job, int step, int steps, std::string_view jpeg);
  void Chunk(const Job& job, int64_t offset, int64_t bytes,
             std::shared_ptr<const ResultReader> data);
  // Nothing of an attempt that is over is said again.
  void Silence(const std::string& job);
  // The sequence that Ended will use for the job: from now on nothing else is said of it.
  int64_t EndSequence(const std::string& job, int32_t attempt);
  // `job` as it ended.
  void Ended(const Job& job);
  // Repeats the last state of running jobs that were silent for long.
  void Tick();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Waiting {
    int position = 0;  // as announced
    std::string waiting_for;
    Time announced{};
  };
  struct Last {
    int32_t attempt = 0;
    v1::JobEvent event;
    Time announced{};
  };
  v1::JobEvent NewEvent() const;

  EventLog& events_;
  const Clock& clock_;
  std::map<std::string, Waiting> queued_;
  std::map<std::string, Last> running_;
};

}  // namespace cogwheel
