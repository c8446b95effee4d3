#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "worker/journal/flight_recorder.h"
#include "worker/pipeline/job_spec.h"
#include "worker/rank/step_deadline.h"

namespace cogwheel {

// Sees to it that this process ends when it must, whatever hangs: a thread of its own that looks
// every 100 ms and itself never waits for anything. Thread-safe.
//
// A unit of work past its deadline (StepDeadline) is a fault; a rank that waits for another is not,
// as that one has a deadline itself and the exchange a limit: the last exchanges are logged, the
// frontend is told, the communicator aborted (all on a side thread: each may hang), and the process
// leaves with kExitInternal at most `leave_limit` later, without destructors, if the rank thread
// has not left by then.
class Watchdog {
 public:
  struct Options {
    const Clock& clock;
    std::chrono::milliseconds first_limit{600'000};  // of the first units of a kind
    std::chrono::milliseconds leave_limit{10'000};
    // Tells the frontend. May hang.
    std::function<void(const std::string& fault)> report;
    // Stop signals this process has had so far; asked on the watchdog's thread alone.
    std::function<int()> count_stops;
    // After each new stop signal: the first asks for a drain, the second to hand the job back.
    std::function<void(int stops)> on_stop;
    FlightRecorder::Hooks hooks;              // for meters
    std::function<void(int exit_code)> exit;  // _exit
  };
  explicit Watchdog(Options options);
  ~Watchdog();

  // Without Start a test calls Poll itself.
  void Start();
  void Poll() COGWHEEL_EXCLUDES(mutex_);

  FlightRecorder& recorder() { return recorder_; }
  // How to abort the world from now on. Called on other threads; may hang.
  using AbortWorld = std::function<void(const std::string& why)>;
  void Guard(AbortWorld abort) COGWHEEL_EXCLUDES(mutex_);
  // Around the part of a job that has exchanges.
  void BeginJob(const JobSpec& spec) COGWHEEL_EXCLUDES(mutex_);
  // `finished`: the job's last block was done. One that the job was left in, cancelled or failed,
  // is no measure of the next.
  void EndJob(bool finished);

  // The process has to leave within leave_limit. With `abort` the communicator is aborted at once:
  // the others are going too. Without, the job may stop in step first, for half the time. A rank
  // that still loads leaves after a second.
  void Leave(const std::string& why, int exit_code, bool abort) COGWHEEL_EXCLUDES(mutex_);

  int stops() const { return stops_; }
  // Side threads may be busy then: the process ends without destructors.
  bool leaving() const COGWHEEL_EXCLUDES(mutex_);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Leaving {
    std::string why;
    int exit_code = 0;
    bool aborted = false;
    Time until{};  // then the next stronger means
  };

  void Run();
  void CountStops();
  void Learn(const FlightRecorder::EndedUnit& unit) COGWHEEL_EXCLUDES(mutex_);
  // Until the unit is done, or this rank is found to hang in it and its peers are told.
  std::chrono::nanoseconds LongestStay(const WorkUnit& unit) const COGWHEEL_EXCLUDES(mutex_);
  std::optional<std::string> FindFault(Time now) const COGWHEEL_REQUIRES(mutex_);
  void StartLeaving(Leaving leaving) COGWHEEL_REQUIRES(mutex_);
  // On a side thread, which nobody waits for.
  void AbortAside(const std::string& why, bool is_fault) COGWHEEL_REQUIRES(mutex_);

  const Options options_;
  FlightRecorder recorder_;
  mutable Mutex mutex_;
  CondVar changed_;
  StepDeadline deadline_ COGWHEEL_GUARDED_BY(mutex_);
  AbortWorld abort_world_ COGWHEEL_GUARDED_BY(mutex_);  // empty: still loading
  std::optional<Leaving> leaving_ COGWHEEL_GUARDED_BY(mutex_);
  bool stopping_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::atomic<int> stops_{0};
  std::thread thread_;
};

}  // namespace cogwheel
