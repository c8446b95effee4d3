#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include <absl/status/statusor.h>

// Starting and ending our own programs: the client starts a private frontend and worker, the
// launcher its ranks.
namespace cogwheel {

struct ChildOptions {
  std::vector<std::string> argv;  // argv[0] is the program's path, or with `program` its name in ps
  std::string program;            // what is executed; empty: argv[0]
  std::vector<std::pair<std::string, std::string>> env;  // added to the environment
  bool drop_cogwheel_env = false;                        // COGWHEEL_* is not inherited
  std::string log_file;     // stderr goes there (appended); empty: inherited
  bool read_stdout = true;  // stdout to ReadLine; otherwise inherited
};

// One child. It is sent SIGKILL by the kernel when the thread that started it ends, even if this
// process is killed. Owned by that thread. The destructor kills and reaps.
class ChildProcess {
 public:
  static absl::StatusOr<ChildProcess> Start(const ChildOptions& options);
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  pid_t pid() const { return pid_; }
  // Next line of its stdout without the newline; DEADLINE_EXCEEDED, or UNAVAILABLE when the child
  // closed it or ended.
  absl::StatusOr<std::string> ReadLine(std::chrono::milliseconds limit);
  void Signal(int signal);
  // Whether a signal (SIGSTOP) keeps it from running now.
  bool IsStopped() const;
  // Exit code (128 + signal when killed by one) once it has ended; nullopt while it runs after
  // `limit`.
  std::optional<int> Wait(std::chrono::milliseconds limit);
  // SIGTERM, wait `grace`, SIGKILL, reap.
  int Stop(std::chrono::milliseconds grace);

 private:
  ChildProcess() = default;
  pid_t pid_ = -1;
  int stdout_fd_ = -1;
  std::string buffer_;
  std::optional<int> exit_code_;
};

}  // namespace cogwheel
