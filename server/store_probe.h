#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "server/dispatch/store_health.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"

namespace cogwheel {

// Tries whether the store takes a write and whether the largest result that is waited for finds
// room, and tells StoreHealth. A write that is not answered for a minute ends the process: a disk
// that hangs does not come back, and a restart finds what is true.
class StoreProbe {
 public:
  struct Parts {
    JobStore& store;
    ResultStore& results;
    StoreHealth& health;
    const Clock& clock;
    std::function<int64_t()> largest_result;  // bytes; from any thread
  };
  explicit StoreProbe(Parts parts) : parts_(std::move(parts)) {}

  // Waits for the disk. Called every second, by one thread at a time.
  void Try();

 private:
  absl::Status Write();

  const Parts parts_;
  std::chrono::steady_clock::time_point written_{};
};

}  // namespace cogwheel
