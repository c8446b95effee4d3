#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/failpoint.h"

// Failpoints that obey the environment, for the programs of tests/faults:
//
//   COGWHEEL_FAILPOINT=NAME[/LOCAL_RANK]=ACTION[@PASS][;...]
//     ACTION: kill (SIGKILL), stop (SIGSTOP), delay:MILLISECONDS or no_memory (an allocation fails:
//     std::bad_alloc), at the PASS-th pass (first; 0: at each).
//   COGWHEEL_FAILPOINT_MARK=FILE
//     Made before the first action, with "NAME PID NANOSECONDS" (CLOCK_MONOTONIC). While it is
//     there nothing acts any more: a process that is started again is left alone.
//   COGWHEEL_FAILPOINT_SEEN=FILE
//     Every name that is passed is appended once a process.
namespace cogwheel {
namespace {

using std::chrono::milliseconds;

struct Armed {
  std::string name;
  std::string action;
  milliseconds delay{0};
  int64_t pass = 1;
  std::atomic<int64_t> passes{0};
};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int64_t Number(std::string_view text, int64_t otherwise) {
  int64_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The value of --local-rank on this process's command line; empty in programs without ranks.
std::string LocalRank() {
  std::ifstream file("/proc/self/cmdline");
  std::string word;
  while (std::getline(file, word, '\0')) {
    if (word == "--local-rank" && std::getline(file, word, '\0')) return word;
  }
  return "";
}

// The part of `text` before `mark`; `text` keeps what follows it.
std::string_view Cut(std::string_view& text, char mark) {
  const size_t end = text.find(mark);
  const std::string_view head = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return head;
}

class Failpoints {
 public:
  Failpoints()
      : mark_(Environment("COGWHEEL_FAILPOINT_MARK")),
        seen_(Environment("COGWHEEL_FAILPOINT_SEEN")) {
    const std::string text = Environment("COGWHEEL_FAILPOINT");
    const std::string rank = LocalRank();
    for (std::string_view rest = text; !rest.empty();) Arm(Cut(rest, ';'), rank);
  }

  void Pass(std::string_view name) {
    if (!seen_.empty()) Append(seen_, std::string(name) + "\n");
    for (const std::unique_ptr<Armed>& armed : armed_) {
      if (armed->name != name) continue;
      const bool now = armed->pass == 0 || ++armed->passes == armed->pass;
      if (now && Mark(name)) Act(*armed);
    }
  }

 private:
  void Arm(std::string_view rest, const std::string& local_rank) {
    std::string_view place = Cut(rest, '=');
    auto armed = std::make_unique<Armed>();
    armed->name = Cut(place, '/');
    if (!place.empty() && place != local_rank) return;
    std::string_view action = Cut(rest, '@');
    armed->pass = Number(rest, 1);
    armed->action = Cut(action, ':');
    armed->delay = milliseconds(Number(action, 0));
    armed_.push_back(std::move(armed));
  }

  static void Append(const std::string& path, const std::string& line) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (file < 0) return;
    if (write(file, line.data(), line.size()) < 0) std::abort();
    close(file);
  }

  // True for the one that may act.
  bool Mark(std::string_view name) const {
    if (mark_.empty()) return true;
    const int file = open(mark_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (file < 0) return false;
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::string line = std::string(name) + " " + std::to_string(getpid()) + " " +
                             std::to_string(std::chrono::nanoseconds(now).count()) + "\n";
    if (write(file, line.data(), line.size()) < 0) std::abort();
    close(file);
    return true;
  }

  static void Act(const Armed& armed) {
    if (armed.action == "kill") kill(getpid(), SIGKILL);
    if (armed.action == "stop") kill(getpid(), SIGSTOP);
    if (armed.action == "no_memory") throw std::bad_alloc();
    if (armed.action == "delay") std::this_thread::sleep_for(armed.delay);
  }

  const std::string mark_;
  const std::string seen_;
  std::vector<std::unique_ptr<Armed>> armed_;
};

}  // namespace

void Failpoint(std::string_view name) {
  static Failpoints& failpoints = *new Failpoints();  // threads pass while the process exits
  failpoints.Pass(name);
}

}  // namespace cogwheel
