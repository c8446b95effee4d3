#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include "base/config.h"
#include "base/log.h"
#include "base/log_format.h"
#include "base/utf8.h"
#include "proto/contract/library_logs.h"
#include "server/frontend.h"
#include "server/job/store_error.h"
#include "server/settings.h"
#include "server/store/sqlite/store_check.h"
#include "server/version.h"

namespace cogwheel {
namespace {

constexpr int kBadInput = 2, kUnavailable = 3;

// SIGTERM and SIGINT are taken by waiting, never by a handler. Before any thread starts.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // broken pipes are errors of writes
  return signals;
}

bool StopSignalWithin(const sigset_t& signals, std::chrono::milliseconds limit) {
  const timespec wait = {limit.count() / 1000, (limit.count() % 1000) * 1'000'000};
  return sigtimedwait(&signals, nullptr, &wait) > 0;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "cogwheel-server: %s\n", WithoutControls(StoreDetail(status)).c_str());
  return absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status) ? kBadInput
                                                                               : kUnavailable;
}

// A line each, on stdout.
int TellFindings(const Findings& findings) {
  int code = 0;
  for (const Finding& finding : findings) {
    if (finding.level == FindingLevel::kFault) code = kBadInput;
    std::printf("%-8s%s: %s%s%s\n", LevelName(finding.level), finding.check.c_str(),
                WithoutControls(finding.what).c_str(), finding.way_out.empty() ? "" : "; ",
                finding.way_out.c_str());
  }
  return code;
}

// For machines on stdout, for people on stderr.
void TellReady(const Frontend::Addresses& addresses, const config::v1::ServerConfig& config) {
  Log(LogLevel::kInfo, "serving",
      {{"listen", addresses.listen},
       {"admin", addresses.admin},
       {"config", config.ShortDebugString()}},
      Audience::kMachines);
  nlohmann::ordered_json line = {{"ready", true}, {"listen", addresses.listen}};
  if (addresses.internal != addresses.listen) line["internal"] = addresses.internal;
  line["admin"] = addresses.admin;
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
  Say(absl::StrCat("serving on ", addresses.listen, ", metrics and probes on http://",
                   addresses.admin, "; next: cogwheel-worker --frontend ", addresses.internal,
                   " --model DIR"));
}

// Until a signal; then until the running job has ended, the grace is over or a second signal comes.
void ServeUntilStopped(Frontend& frontend, const sigset_t& signals, std::chrono::seconds grace) {
  constexpr std::chrono::milliseconds kPoll{50};
  while (!StopSignalWithin(signals, std::chrono::seconds(1))) {
  }
  Log(LogLevel::kInfo, "draining", {}, Audience::kMachines);
  Say(absl::StrCat("draining: a running job has ", grace.count(),
                   " s to end; a second signal ends it now"));
  frontend.Drain();
  const auto end = std::chrono::steady_clock::now() + grace;
  while (frontend.Busy() && std::chrono::steady_clock::now() < end) {
    if (StopSignalWithin(signals, kPoll)) break;
  }
  frontend.Stop();
  Log(LogLevel::kInfo, "stopped");
}

int Run(int argc, char** argv) {
  const sigset_t signals = BlockStopSignals();
  SetLogContext({{"program", "cogwheel-server"}});
  TakeLibraryLogs();
  config::v1::ServerConfig config = DefaultServerConfig();
  const absl::StatusOr<ConfigOutcome> loaded =
      LoadConfig(argc, argv, ServerProgram(ServerVersionText()), config);
  if (!loaded.ok()) return Fail(loaded.status());
  if (*loaded == ConfigOutcome::kPrinted) return 0;
  const absl::Status format = UseLogFormat(config.log_format());
  if (!format.ok()) return Fail(format);
  const absl::StatusOr<LogLevel> level = ParseLogLevel("--log-level", config.log_level());
  if (!level.ok()) return Fail(level.status());
  SetLogLevel(*level);
  if (config.check()) return TellFindings(CheckStore(config.data_dir()));
  const absl::StatusOr<config::v1::ServerConfig> checked = CheckServerConfig(config);
  if (!checked.ok()) return Fail(checked.status());
  const SystemClock clock;
  const auto frontend = Frontend::Start(*checked, clock);
  if (!frontend.ok()) return Fail(frontend.status());
  TellReady((*frontend)->addresses(), *checked);
  ServeUntilStopped(**frontend, signals, std::chrono::seconds(checked->shutdown_grace_seconds()));
  return 0;
}

}  // namespace
}  // namespace cogwheel

int main(int argc, char** argv) { return cogwheel::Run(argc, argv); }
