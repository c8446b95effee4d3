#include "server/api/call_limiter.h"

#include <algorithm>
#include <cmath>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {

CallLimiter::Bucket& CallLimiter::BucketOf(const std::string& caller) {
  const auto known = found_.find(caller);
  if (known != found_.end()) {
    buckets_.splice(buckets_.begin(), buckets_, known->second);
    return buckets_.front();
  }
  if (buckets_.size() == kMaxCallers) {
    found_.erase(buckets_.back().caller);
    buckets_.pop_back();
  }
  buckets_.push_front({caller, limits_.burst, clock_.Now()});
  found_[caller] = buckets_.begin();
  return buckets_.front();
}

absl::Status CallLimiter::Take(const std::string& caller) {
  if (limits_.per_second <= 0) return absl::OkStatus();
  MutexLock lock(mutex_);
  Bucket& bucket = BucketOf(caller);
  const auto now = clock_.Now();
  const std::chrono::duration<double> passed = now - bucket.filled;
  bucket.calls = std::min(limits_.burst, bucket.calls + passed.count() * limits_.per_second);
  bucket.filled = now;
  if (bucket.calls >= 1) {
    bucket.calls -= 1;
    return absl::OkStatus();
  }
  const double wait_ms = (1 - bucket.calls) / limits_.per_second * 1000;
  return WithRetryAfter(
      MakeError(absl::StatusCode::kResourceExhausted, "CALL_RATE",
                absl::StrCat("too many calls; the limit of one caller is ", limits_.per_second,
                             " a second and ", limits_.burst, " at once")),
      std::chrono::milliseconds(static_cast<int64_t>(std::ceil(wait_ms))));
}

size_t CallLimiter::callers() const {
  MutexLock lock(mutex_);
  return buckets_.size();
}

std::string HostOfPeer(std::string_view peer) {
  return std::string(peer.substr(0, peer.rfind(':')));
}

}  // namespace cogwheel
