#include "client/doctor/program_run.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include "base/child_process.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPoll{100};
constexpr milliseconds kReapLimit{5000};
constexpr int kNotStarted = 127;
constexpr size_t kLogBytes = 16 * 1024;

std::vector<std::pair<std::string, std::string>> EnvironmentOf(const ProgramOptions& options) {
  std::vector<std::pair<std::string, std::string>> environment;
  if (options.trace) environment.emplace_back("LD_TRACE_LOADED_OBJECTS", "1");
  if (!options.plain) return environment;
  for (const char* variable : kLoaderVariables) environment.emplace_back(variable, "");
  return environment;
}

std::string LogOf(int fd) {
  std::array<char, kLogBytes> text{};
  const ssize_t count = pread(fd, text.data(), text.size(), 0);
  return {text.data(), static_cast<size_t>(std::max<ssize_t>(count, 0))};
}

}  // namespace

ProgramRun RunProgram(const ProgramOptions& options, const std::function<bool()>& stop_requested) {
  // In memory: whether the temporary folder can be written is one of the questions.
  const int log = memfd_create("log", MFD_CLOEXEC);
  const absl::Cleanup close_log = [log] { close(log); };
  ChildOptions child;
  child.argv = options.argv;
  child.env = EnvironmentOf(options);
  child.drop_cogwheel_env = true;
  child.log_file = absl::StrCat("/proc/self/fd/", log);
  absl::StatusOr<ChildProcess> process = ChildProcess::Start(child);
  if (!process.ok()) return {{}, std::string(process.status().message()), kNotStarted};
  ProgramRun run;
  const auto until = steady_clock::now() + std::chrono::seconds(options.limit_seconds);
  while (true) {
    absl::StatusOr<std::string> line = process->ReadLine(kPoll);
    if (line.ok()) {
      run.lines.push_back(*std::move(line));
      continue;
    }
    if (absl::IsUnavailable(line.status())) break;
    if (!stop_requested() && steady_clock::now() < until) continue;
    process->Signal(SIGKILL);
    process->Wait(kReapLimit);
    run.exit_code = kNotStarted;
    run.log = absl::StrCat("it had not ended after ", options.limit_seconds, " seconds");
    return run;
  }
  run.exit_code = process->Wait(kReapLimit).value_or(kNotStarted);
  run.log = LogOf(log);
  return run;
}

}  // namespace cogwheel
