#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "server/dispatch/upload.h"

namespace cogwheel {

// The inputs that tenants keep: takes them in, counts them among what is queued, and lets them go.
// Thread-safe.
class InputKeeper {
 public:
  struct Parts {
    InputStore& inputs;
    InputRows& rows;
    AdmissionLedger& ledger;
    const Clock& clock;
  };
  explicit InputKeeper(const Parts& parts) : parts_(parts) {}

  // Once, at start: what was kept before is counted. Blocks.
  absl::Status Recover();
  std::unique_ptr<Upload> Begin(const std::string& tenant);
  // Lets some of those go that have expired. Blocks.
  absl::Status DropExpired();

 private:
  const Parts parts_;
  std::atomic<int64_t> uploads_{0};
  Mutex picture_;  // in memory
};

}  // namespace cogwheel
