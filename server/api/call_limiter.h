#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include <absl/status/status.h>

#include "base/clock.h"
#include "base/mutex.h"

namespace cogwheel {

// How often one caller may call: a token bucket for each, full at first. Thread-safe.
class CallLimiter {
 public:
  struct Limits {
    double per_second = 0;  // 0: as often as they like
    double burst = 1;       // calls at once; at least 1
  };
  // Of those that called last; who was forgotten has a full bucket again.
  static constexpr size_t kMaxCallers = 4096;

  CallLimiter(const Limits& limits, const Clock& clock) : limits_(limits), clock_(clock) {}

  // Counts one call. RESOURCE_EXHAUSTED (CALL_RATE), with the time after which one will pass.
  absl::Status Take(const std::string& caller) COGWHEEL_EXCLUDES(mutex_);
  size_t callers() const COGWHEEL_EXCLUDES(mutex_);

 private:
  struct Bucket {
    std::string caller;
    double calls = 0;  // that it may make now
    std::chrono::steady_clock::time_point filled{};
  };
  Bucket& BucketOf(const std::string& caller) COGWHEEL_REQUIRES(mutex_);

  const Limits limits_;
  const Clock& clock_;
  mutable Mutex mutex_;
  std::list<Bucket> buckets_ COGWHEEL_GUARDED_BY(mutex_);  // who called last comes first
  std::unordered_map<std::string, std::list<Bucket>::iterator> found_ COGWHEEL_GUARDED_BY(mutex_);
};

// "ipv4:10.0.0.7:41000" without its port: connections of one host are one caller.
std::string HostOfPeer(std::string_view peer);

}  // namespace cogwheel
