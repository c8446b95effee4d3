#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include <absl/status/status.h>

#include "proto/contract/status.h"

namespace cogwheel {

// When a broken stream is taken up again. Pure: the caller waits. A server that never sent anything
// is not tried twice; something that arrives starts the count anew. CANCELLED is the server's cut
// of a reader that took nothing for long (who cancelled himself does not ask), RESOURCE_EXHAUSTED
// without a reason its want of memory for what arrives.
class RetryPolicy {
 public:
  static constexpr int kTries = 8;
  static constexpr std::chrono::milliseconds kFirstDelay{200}, kLongestDelay{5000};

  void Arrived() { tries_left_ = kTries; }

  // How long to wait before the next try, or nothing when `status` is final or enough was tried.
  std::optional<std::chrono::milliseconds> NextDelay(const absl::Status& status) {
    const bool no_memory = absl::IsResourceExhausted(status) && ErrorReason(status).empty();
    const bool broken = absl::IsUnavailable(status) || absl::IsCancelled(status) || no_memory ||
                        RetryAfter(status).has_value();
    if (!broken || tries_left_ <= 0) return std::nullopt;
    const auto grown = std::min(kLongestDelay, kFirstDelay * (1 << (kTries - tries_left_)));
    --tries_left_;
    return std::clamp(RetryAfter(status).value_or(grown), grown, kLongestDelay);
  }

 private:
  int tries_left_ = 0;
};

}  // namespace cogwheel
