#include "worker/launch/stop_signals.h"

#include <csignal>
#include <ctime>

namespace cogwheel {
namespace {

sigset_t StopSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int StopSignals::Count(std::chrono::milliseconds limit) {
  const sigset_t set = StopSet();
  const timespec wait{.tv_sec = static_cast<time_t>(limit.count() / 1000),
                      .tv_nsec = static_cast<long>(limit.count() % 1000 * 1'000'000)};
  if (sigtimedwait(&set, nullptr, &wait) > 0) ++count_;
  return count_;
}

}  // namespace cogwheel
