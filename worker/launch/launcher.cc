#include "worker/launch/launcher.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "base/log.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kPollInterval{50};
constexpr std::chrono::milliseconds kNow{0};
// Between two words of ranks that the frontend is not there.
constexpr std::chrono::seconds kFrontendMissedPause{60};
// Between the kernel's kill and the launcher's notice of the death, at most.
constexpr std::chrono::seconds kKillToDeath{5};
constexpr int kInternalExitCode = 70;
constexpr int kKilledExitCode = 128 + SIGKILL;

// How a rank's idle compute threads wait. They would spin for milliseconds, on CPUs that gRPC, the
// encoder and other ranks need, and eat up a container's quota.
constexpr char kWaitPolicy[] = "OMP_WAIT_POLICY";

std::vector<std::pair<std::string, std::string>> RankEnvironment() {
  if (std::getenv(kWaitPolicy) != nullptr) return {};  // the user's
  return {{kWaitPolicy, "PASSIVE"}};
}

// The same files would be refused again; a disk or memory may be well by then.
bool IsRefusal(const absl::Status& described) {
  return absl::IsInvalidArgument(described) || absl::IsFailedPrecondition(described);
}

}  // namespace

Launcher::Launcher(LauncherOptions options, StopSignals& signals, const Clock& clock,
                   std::function<void(const std::string& line)> print)
    : options_(std::move(options)),
      signals_(signals),
      clock_(clock),
      print_(std::move(print)),
      budget_(options_.restarts),
      memory_kills_(options_.root) {}

int Launcher::Run() {
  while (true) {
    const std::optional<int> code = RunRanks();
    if (!code.has_value()) return 0;
    const bool frontend_lost = IsWithoutFrontend(*code);
    if (*code == 0 || *code == options_.refused_exit_code) return *code;
    if (!frontend_lost) {
      const std::optional<std::chrono::milliseconds> pause = budget_.Take(clock_.Now());
      if (!pause.has_value()) {
        Log(LogLevel::kError, "the ranks were started again too often",
            {{"max_restarts", std::to_string(options_.restarts.max_restarts)}});
        return *code;
      }
      if (signals_.Count(*pause) > 0) return 0;
    }
    // Ranks that miss the frontend say so themselves.
    Log(LogLevel::kInfo, "starting the ranks again", {},
        frontend_lost ? Audience::kMachines : Audience::kEverybody);
  }
}

bool Launcher::IsWithoutFrontend(int exit_code) const {
  return exit_code == options_.frontend_missed_exit_code ||
         exit_code == options_.frontend_lost_exit_code;
}

std::optional<int> Launcher::RunRanks() {
  const absl::StatusOr<std::vector<std::string>> described = options_.describe();
  if (signals_.Count(kNow) > 0) return std::nullopt;  // describing may have taken a while
  if (IsRefusal(described.status())) return options_.refused_exit_code;
  if (!described.ok()) return options_.group_lost_exit_code;
  const auto begin = clock_.Now();
  // The word of earlier ranks is fresh; else it is these ranks' to say.
  const bool said =
      frontend_missed_.has_value() && begin - *frontend_missed_ < kFrontendMissedPause;
  const absl::Status started = StartAll(*described, said);
  if (!started.ok()) {
    Log(LogLevel::kError, "cannot start a rank", {{"error", std::string(started.message())}});
    StopAll();
    return kInternalExitCode;
  }
  const std::optional<Ended> ended = WatchUntilEnd();
  if (!ended.has_value()) {
    Drain();
    return std::nullopt;
  }
  if (ended->exit_code != options_.frontend_missed_exit_code) {
    frontend_missed_.reset();
  } else if (!said) {
    frontend_missed_ = begin;
  }
  Log(ended->exit_code == 0 ? LogLevel::kInfo : LogLevel::kWarning, "a rank ended",
      {{"local_rank", std::to_string(ended->local_rank)},
       {"exit_code", std::to_string(ended->exit_code)}},
      IsWithoutFrontend(ended->exit_code) ? Audience::kMachines : Audience::kEverybody);
  StopAll();
  return ended->exit_code;
}

absl::Status Launcher::StartAll(const std::vector<std::string>& more_arguments,
                                bool frontend_missed) {
  memory_kills_ = MemoryKillWatch(options_.root);
  memory_kills_.Poll(clock_.Now());
  std::vector<std::string> arguments = more_arguments;
  if (frontend_missed) arguments.insert(arguments.end(), {kFrontendMissed, "yes"});
  for (int local_rank = 0; local_rank < options_.rank_count; ++local_rank) {
    const absl::Status started = Start(local_rank, arguments);
    if (!started.ok()) return started;
  }
  return absl::OkStatus();
}

absl::Status Launcher::Start(int local_rank, const std::vector<std::string>& more_arguments) {
  ChildOptions child;
  child.env = RankEnvironment();
  child.program = options_.program;
  child.argv = options_.argv;
  if (options_.name) child.argv[0] = options_.name(local_rank);
  child.argv.insert(child.argv.end(), {"--local-rank", std::to_string(local_rank)});
  child.argv.insert(child.argv.end(), more_arguments.begin(), more_arguments.end());
  if (killed_for_memory_.contains(local_rank)) {
    child.argv.insert(child.argv.end(), {kReplacesKilledForMemory, "yes"});
  }
  absl::StatusOr<ChildProcess> process = ChildProcess::Start(child);
  if (!process.ok()) return process.status();
  ranks_.push_back({.process = *std::move(process)});
  return absl::OkStatus();
}

std::optional<Launcher::Ended> Launcher::WatchUntilEnd() {
  while (signals_.Count(kPollInterval) == 0) {
    ReadReadyLines();
    AnnounceOnce();
    KillStopped();
    memory_kills_.Poll(clock_.Now());
    if (const std::optional<Ended> ended = FindEnded()) return ended;
  }
  return std::nullopt;
}

void Launcher::ReadReadyLines() {
  for (Rank& rank : ranks_) {
    if (!rank.ready) rank.ready = rank.process.ReadLine(kNow).ok();
  }
}

void Launcher::AnnounceOnce() {
  const bool all_ready =
      std::all_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.ready; });
  if (announced_ || !all_ready) return;
  print_(R"({"ready":true,"listen":"","admin":""})");
  announced_ = true;
}

void Launcher::KillStopped() {
  const auto now = clock_.Now();
  for (Rank& rank : ranks_) {
    if (!rank.process.IsStopped()) {
      rank.stopped_since.reset();
    } else if (!rank.stopped_since.has_value()) {
      rank.stopped_since = now;
    } else if (now - *rank.stopped_since >= options_.stopped_limit) {
      Log(LogLevel::kError, "killing a rank that is stopped",
          {{"pid", std::to_string(rank.process.pid())}});
      Kill(rank);
    }
  }
}

// The rank that ended first is not known when several have: a refusal explains most, then any code
// but 0.
std::optional<Launcher::Ended> Launcher::FindEnded() {
  std::optional<Ended> found;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const std::optional<int> code = ranks_[i].process.Wait(kNow);
    if (!code.has_value()) continue;
    const bool refused = *code == options_.refused_exit_code;
    if (!found.has_value() || refused || found->exit_code == 0) {
      found = Ended{.local_rank = static_cast<int>(i), .exit_code = *code};
    }
    if (refused) break;
  }
  return found;
}

void Launcher::Kill(Rank& rank) {
  rank.killed_by_us = true;
  rank.process.Signal(SIGKILL);
}

// Once all have ended: those that were killed, and not by us, where the kernel's count of its kills
// has risen since.
void Launcher::FindKilledForMemory(std::chrono::steady_clock::time_point since) {
  killed_for_memory_.clear();
  memory_kills_.Poll(clock_.Now());
  if (!memory_kills_.RoseSince(since)) return;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i].killed_by_us || ranks_[i].process.Wait(kNow) != kKilledExitCode) continue;
    killed_for_memory_.insert(static_cast<int>(i));
    Log(LogLevel::kError, "the kernel has killed a rank for memory",
        {{"local_rank", std::to_string(i)}});
  }
}

bool Launcher::AnyRuns() {
  return std::any_of(ranks_.begin(), ranks_.end(),
                     [](Rank& rank) { return !rank.process.Wait(kNow).has_value(); });
}

void Launcher::Drain() {
  Log(LogLevel::kInfo, "draining: the running job ends first");
  for (Rank& rank : ranks_) rank.process.Signal(SIGTERM);
  auto deadline = clock_.Now() + options_.drain_limit;
  bool in_a_hurry = false;
  while (AnyRuns()) {
    KillStopped();
    const bool asked = signals_.Count(kPollInterval) >= 2;
    const bool late = clock_.Now() >= deadline;
    if (in_a_hurry && late) break;
    if (in_a_hurry || (!asked && !late)) continue;
    in_a_hurry = true;
    Log(LogLevel::kInfo, "leaving now: the running job is handed back");
    // Another signal than the first: two equal ones that arrive together are one.
    for (Rank& rank : ranks_) rank.process.Signal(SIGINT);
    deadline = clock_.Now() + options_.hand_back_limit;
  }
  for (Rank& rank : ranks_) rank.process.Signal(SIGKILL);
  ranks_.clear();
}

void Launcher::StopAll() {
  const auto last_well = clock_.Now() - kKillToDeath;
  for (Rank& rank : ranks_) rank.process.Signal(SIGTERM);
  const auto deadline = clock_.Now() + options_.stop_grace;
  for (Rank& rank : ranks_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::max(deadline - clock_.Now(), std::chrono::steady_clock::duration::zero()));
    if (!rank.process.Wait(left).has_value()) Kill(rank);
  }
  FindKilledForMemory(last_well);
  ranks_.clear();
}

}  // namespace cogwheel
