#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/io_pool.h"

namespace cogwheel {

// Does what is to be done every so often and may wait for a disk: each task in a line of its own on
// a pool, never twice at once. Owned by the thread that calls Tick, which never waits.
class Housekeeper {
 public:
  // `pool` runs the tasks of a line in order.
  Housekeeper(IoPool& pool, const Clock& clock) : pool_(pool), clock_(clock) {}

  // The first time after `first`.
  void Every(std::chrono::nanoseconds period, std::string name, std::function<void()> task,
             std::chrono::nanoseconds first);
  void Tick();

 private:
  struct Chore {
    std::string name;
    std::chrono::nanoseconds period;
    std::function<void()> task;
    std::chrono::steady_clock::time_point due;
    std::shared_ptr<std::atomic<bool>> waits;  // for a thread, or runs
  };
  IoPool& pool_;
  const Clock& clock_;
  std::vector<Chore> chores_;
};

}  // namespace cogwheel
