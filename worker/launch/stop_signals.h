#pragma once

#include <chrono>

namespace cogwheel {

// SIGTERM and SIGINT as something to ask for, without a handler. Blocks both in this thread and
// those started later, so construct it first. Count is one thread's.
class StopSignals {
 public:
  StopSignals();

  // Signals taken so far (equal ones that arrive together count once). Waits up to `limit` for one.
  int Count(std::chrono::milliseconds limit);

 private:
  int count_ = 0;
};

}  // namespace cogwheel
