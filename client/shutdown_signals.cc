#include "client/shutdown_signals.h"

#include <csignal>
#include <cstdint>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace cogwheel {
namespace {

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

ShutdownSignals::ShutdownSignals() {
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

ShutdownSignals::~ShutdownSignals() {
  close(fd_);
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

bool ShutdownSignals::Wait(std::chrono::milliseconds limit, int other_fd) {
  pollfd fds[] = {{fd_, POLLIN, 0}, {other_fd, POLLIN, 0}};
  if (poll(fds, 2, static_cast<int>(limit.count())) <= 0) return false;
  signalfd_siginfo info;
  return (fds[0].revents & POLLIN) != 0 && read(fd_, &info, sizeof(info)) == sizeof(info);
}

WakeUp::WakeUp() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

WakeUp::~WakeUp() { close(fd_); }

void WakeUp::Notify() {
  const uint64_t one = 1;
  static_cast<void>(!write(fd_, &one, sizeof(one)));
}

}  // namespace cogwheel
