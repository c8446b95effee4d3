#pragma once

#include <chrono>

namespace cogwheel {

// SIGINT and SIGTERM as something to wait for. Created before any thread starts, as threads inherit
// what it blocks; owned by the main thread.
class ShutdownSignals {
 public:
  ShutdownSignals();
  ~ShutdownSignals();  // gives the signals their old meaning back
  ShutdownSignals(const ShutdownSignals&) = delete;
  ShutdownSignals& operator=(const ShutdownSignals&) = delete;

  // True when one of the signals came, false after `limit` or when `other_fd` (-1: none) is
  // readable.
  bool Wait(std::chrono::milliseconds limit, int other_fd = -1);

 private:
  int fd_ = -1;
};

// Lets one thread tell another that waits in ShutdownSignals::Wait.
class WakeUp {
 public:
  WakeUp();
  ~WakeUp();
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  void Notify();  // thread-safe
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace cogwheel
