#pragma once

#include <chrono>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

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
  // Hosts, that is: tenants are few, and none is ever refused for the crowd of hosts. Only who has
  // a full bucket again is forgotten; a crowd that has spent its calls keeps newcomers out.
  static constexpr size_t kMaxHosts = 4096;

  CallLimiter(const Limits& limits, const Clock& clock) : limits_(limits), clock_(clock) {}

  // Count one call. RESOURCE_EXHAUSTED (CALL_RATE), with the time after which one will pass.
  absl::Status TakeOfTenant(const std::string& tenant) COGWHEEL_EXCLUDES(mutex_);
  absl::Status TakeOfHost(const std::string& host) COGWHEEL_EXCLUDES(mutex_);
  size_t hosts() const COGWHEEL_EXCLUDES(mutex_);

 private:
  using Time = std::chrono::steady_clock::time_point;
  // When each bucket is full again says all of it: it holds `burst` calls less what flows in until
  // then.
  using Buckets = std::unordered_map<std::string, Time>;
  absl::Status Take(Time& full, Time now) const;
  std::chrono::duration<double> ToFill(double calls) const {
    return std::chrono::duration<double>(calls / limits_.per_second);
  }

  const Limits limits_;
  const Clock& clock_;
  mutable Mutex mutex_;
  Buckets tenants_ COGWHEEL_GUARDED_BY(mutex_);
  Buckets hosts_ COGWHEEL_GUARDED_BY(mutex_);
  std::set<std::pair<Time, std::string>> by_full_ COGWHEEL_GUARDED_BY(mutex_);  // hosts
};

// Who a connection is from, for limits: the IPv4 address, or the /64 of IPv6, which one subscriber
// has to himself. "ipv4:10.0.0.7", "ipv6:fd00::/64", "unix"; all that is none of these is one
// caller, "unknown".
std::string HostOfPeer(std::string_view peer);

}  // namespace cogwheel
