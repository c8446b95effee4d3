#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "base/child_process.h"
#include "base/clock.h"
#include "worker/launch/memory_kills.h"
#include "worker/launch/restart_budget.h"
#include "worker/launch/stop_signals.h"

namespace cogwheel {

struct LauncherOptions {
  std::vector<std::string> argv;  // of a rank, without --local-rank and what `describe` says
  std::string program;            // executed as a rank; empty: argv[0]
  // A rank's argv[0], by its local rank: its name in ps. None: argv[0] as it is.
  std::function<std::string(int local_rank)> name;
  int rank_count = 1;
  // Before the ranks are started, each time: further arguments of them. INVALID_ARGUMENT and
  // FAILED_PRECONDITION are refusals, any other failure counts as a rank that ended with
  // group_lost_exit_code; it has said why.
  std::function<absl::StatusOr<std::vector<std::string>>()> describe = [] {
    return std::vector<std::string>();
  };
  RestartBudget::Limits restarts;
  std::chrono::milliseconds stop_grace{10'000};  // between SIGTERM and SIGKILL
  // A rank that is stopped (SIGSTOP) for so long is killed: the frontend has given it up by then,
  // and in a group of one nobody else ends.
  std::chrono::milliseconds stopped_limit{15'000};
  std::chrono::milliseconds drain_limit{3'600'000};  // for the running job after a first SIGTERM
  // After a second signal or that limit, between passing it on and SIGKILL: ranks hand the running
  // job back.
  std::chrono::milliseconds hand_back_limit{10'000};
  int refused_exit_code = 2;  // a rank that ends so is not started again
  // Ranks that end so are started again without being counted.
  int frontend_missed_exit_code = 68;
  int frontend_lost_exit_code = 69;
  int group_lost_exit_code = 75;
  std::string root;  // before /proc and /sys, for tests (MemoryKills)
};

// Told to a rank whose place's last process the kernel killed for memory. Like --local-rank, no
// user types it.
inline constexpr char kReplacesKilledForMemory[] = "--replaces-killed-for-memory";

// Told to ranks whose predecessors did not reach the frontend and have said so a moment ago: one
// word of that a minute is enough. Ranks that lost it after they had reached it are no such ones.
inline constexpr char kFrontendMissed[] = "--frontend-missed";

// The parent of this host's ranks: starts them (with OMP_WAIT_POLICY=PASSIVE unless it is set),
// prints one ready line when all stand in the group, and starts all of them again when one ends.
// Owned by main's thread, which must be the one that starts the ranks: they die with it.
class Launcher {
 public:
  Launcher(LauncherOptions options, StopSignals& signals, const Clock& clock,
           std::function<void(const std::string& line)> print);

  // Until asked to stop (0), a rank or the description refuses (its code), a rank was asked to
  // leave (0), or the restarts are used up (the last code).
  int Run();

 private:
  struct Rank {
    ChildProcess process;
    bool ready = false;
    bool killed_by_us = false;
    std::optional<std::chrono::steady_clock::time_point> stopped_since = std::nullopt;
  };
  struct Ended {
    int local_rank = 0;
    int exit_code = 0;
  };

  // Starts the ranks and watches them. The code of the one that ended; nothing: asked to stop.
  std::optional<int> RunRanks();
  absl::Status Start(int local_rank, const std::vector<std::string>& more_arguments);
  absl::Status StartAll(const std::vector<std::string>& more_arguments, bool frontend_missed);
  // Nothing: asked to stop.
  std::optional<Ended> WatchUntilEnd();
  void ReadReadyLines();
  void AnnounceOnce();
  bool IsWithoutFrontend(int exit_code) const;
  void KillStopped();
  bool AnyRuns();
  std::optional<Ended> FindEnded();
  void Kill(Rank& rank);
  void FindKilledForMemory(std::chrono::steady_clock::time_point since);
  void Drain();
  void StopAll();

  const LauncherOptions options_;
  StopSignals& signals_;
  const Clock& clock_;
  const std::function<void(const std::string&)> print_;
  RestartBudget budget_;
  std::vector<Rank> ranks_;
  MemoryKillWatch memory_kills_;     // since the ranks were started
  std::set<int> killed_for_memory_;  // local ranks of the last start
  bool announced_ = false;           // the ready line is printed once
  // When the first of those ranks was started that have missed the frontend since; none: the last
  // ranks reached it.
  std::optional<std::chrono::steady_clock::time_point> frontend_missed_;
};

}  // namespace cogwheel
