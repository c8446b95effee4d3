#include "base/child_process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kReapInterval{5};
constexpr size_t kMaxLineBytes = 64 * 1024;
constexpr char kOwnPrefix[] = "COGWHEEL_";

// Everything the child needs between fork and exec, made before: only async-signal-safe calls are
// allowed there.
struct Prepared {
  std::vector<std::string> env;
  std::vector<char*> argv, envp;
  std::string program;
  std::string log_file;
  int stdout_fd = -1;  // write end, or -1
  int error_fd = -1;   // errno of a failed exec goes there
  pid_t parent = -1;
};

bool Overridden(std::string_view entry, const ChildOptions& options) {
  const std::string_view key = entry.substr(0, entry.find('='));
  return std::any_of(options.env.begin(), options.env.end(),
                     [&](const auto& pair) { return pair.first == key; });
}

Prepared Prepare(const ChildOptions& options) {
  Prepared prepared;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (options.drop_cogwheel_env && text.starts_with(kOwnPrefix)) continue;
    if (!Overridden(text, options)) prepared.env.emplace_back(text);
  }
  for (const auto& [key, value] : options.env)
    prepared.env.push_back(absl::StrCat(key, "=", value));
  for (std::string& entry : prepared.env) prepared.envp.push_back(entry.data());
  prepared.envp.push_back(nullptr);
  for (const std::string& argument : options.argv) {
    prepared.argv.push_back(const_cast<char*>(argument.c_str()));  // exec's signature; not written
  }
  prepared.argv.push_back(nullptr);
  prepared.program = options.program.empty() ? options.argv[0] : options.program;
  prepared.log_file = options.log_file;
  prepared.parent = getpid();
  return prepared;
}

// In the child: returns only with errno set.
void Become(const Prepared& prepared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != prepared.parent) _exit(127);  // the parent died before prctl
  setpgid(0, 0);                                 // a terminal's Ctrl-C is the parent's to pass on
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) std::signal(signal, SIG_DFL);
  syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
  const int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd >= 0) dup2(null_fd, STDIN_FILENO);
  if (prepared.stdout_fd >= 0) dup2(prepared.stdout_fd, STDOUT_FILENO);
  if (!prepared.log_file.empty()) {
    const int log = open(prepared.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log < 0) return;
    dup2(log, STDERR_FILENO);
  }
  execve(prepared.program.c_str(), prepared.argv.data(), prepared.envp.data());
}

int ExitCodeOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

void Close(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

int RemainingMs(steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1'000'000));
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const ChildOptions& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("a child needs a program");
  std::array<int, 2> output = {-1, -1}, error = {-1, -1};
  if (pipe2(error.data(), O_CLOEXEC) != 0 ||
      (options.read_stdout && pipe2(output.data(), O_CLOEXEC) != 0)) {
    return absl::ResourceExhaustedError(absl::StrCat("pipe: ", std::strerror(errno)));
  }
  Prepared prepared = Prepare(options);
  prepared.stdout_fd = output[1];
  prepared.error_fd = error[1];
  const pid_t pid = fork();
  if (pid == 0) {
    Become(prepared);
    const int failure = errno;
    [[maybe_unused]] const ssize_t told = write(prepared.error_fd, &failure, sizeof failure);
    _exit(127);
  }
  Close(output[1]);
  Close(error[1]);
  int failure = pid < 0 ? errno : 0;
  if (pid > 0 && read(error[0], &failure, sizeof failure) != sizeof failure) failure = 0;
  Close(error[0]);
  if (failure != 0) {
    Close(output[0]);
    if (pid > 0) waitpid(pid, nullptr, 0);
    return absl::NotFoundError(
        absl::StrCat("cannot start ", prepared.program, ": ", std::strerror(failure)));
  }
  ChildProcess child;
  child.pid_ = pid;
  child.stdout_fd_ = output[0];
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !exit_code_.has_value()) {
    Signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Close(stdout_fd_);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept { *this = std::move(other); }

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(stdout_fd_, other.stdout_fd_);
  std::swap(buffer_, other.buffer_);
  std::swap(exit_code_, other.exit_code_);
  return *this;
}

absl::StatusOr<std::string> ChildProcess::ReadLine(milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (true) {
    const size_t newline = buffer_.find('\n');
    if (newline != std::string::npos) {
      std::string line = buffer_.substr(0, newline);
      buffer_.erase(0, newline + 1);
      return line;
    }
    if (stdout_fd_ < 0 || buffer_.size() > kMaxLineBytes) {
      return absl::UnavailableError("the child closed its output");
    }
    pollfd waiting = {.fd = stdout_fd_, .events = POLLIN, .revents = 0};
    const int ready = poll(&waiting, 1, RemainingMs(deadline));
    if (ready == 0) return absl::DeadlineExceededError("the child wrote no line in time");
    if (ready < 0) continue;  // a signal
    std::array<char, 4096> bytes{};
    const ssize_t count = read(stdout_fd_, bytes.data(), bytes.size());
    if (count <= 0) {
      Close(stdout_fd_);
    } else {
      buffer_.append(bytes.data(), static_cast<size_t>(count));
    }
  }
}

void ChildProcess::Signal(int signal) {
  if (pid_ > 0 && !exit_code_.has_value()) kill(pid_, signal);
}

bool ChildProcess::IsStopped() const {
  if (pid_ <= 0 || exit_code_.has_value()) return false;
  siginfo_t info = {};
  // WNOWAIT: the stop is told again on the next call, until the child goes on.
  return waitid(P_PID, pid_, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
}

std::optional<int> ChildProcess::Wait(milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (pid_ > 0 && !exit_code_.has_value()) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_code_ = ExitCodeOf(status);
      break;
    }
    const int left = RemainingMs(deadline);
    if (left == 0) return std::nullopt;
    poll(nullptr, 0, std::min(left, static_cast<int>(kReapInterval.count())));
  }
  return exit_code_;
}

int ChildProcess::Stop(milliseconds grace) {
  Signal(SIGTERM);
  if (!Wait(grace).has_value()) {
    Signal(SIGKILL);
    constexpr milliseconds kKillLimit{10'000};
    Wait(kKillLimit);
  }
  return exit_code_.value_or(128 + SIGKILL);
}

}  // namespace cogwheel
