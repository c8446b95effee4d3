#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <absl/status/status.h>

#include "base/mutex.h"

namespace cogwheel {

// A stream that is being served. Thread-safe; nothing of it waits.
class LiveStream {
 public:
  virtual ~LiveStream() = default;
  // True when one message has been waiting for the reader since before `limit`.
  virtual bool StalledSince(std::chrono::steady_clock::time_point limit) const = 0;
  // Ends it at once, whatever is in flight.
  virtual void Cut() = 0;
  // Ends it with `why` once the message in flight is out, and at most `more` that are there.
  virtual void Close(const absl::Status& why, int more) = 0;
};

// All streams being served: so many and no more, cuts those whose reader takes nothing, ends those
// that may not go on, and all at shutdown. Thread-safe.
class StreamRegistry {
 public:
  struct TenantLimits {
    int streams = 512;
    int downloads = 16;
  };
  struct Limits {
    int streams = 1024;
    TenantLimits tenant;
  };
  // Whose stream it is.
  struct Caller {
    std::string tenant;
    std::optional<std::string> authorization;  // as it was sent
    std::string method;
  };
  explicit StreamRegistry(const Limits& limits) : limits_(limits) {}

  const Limits& limits() const { return limits_; }
  // Tenants with limits of their own.
  void SetTenantLimits(std::map<std::string, TenantLimits> limits) COGWHEEL_EXCLUDES(mutex_);
  // RESOURCE_EXHAUSTED (STREAMS, DOWNLOADS) when there are enough, or what CloseAll was given: the
  // stream is not kept then.
  absl::Status Add(const std::shared_ptr<LiveStream>& stream, const Caller& caller)
      COGWHEEL_EXCLUDES(mutex_);
  void Remove(const LiveStream* stream) COGWHEEL_EXCLUDES(mutex_);
  // Returns how many were cut.
  int CutStalled(std::chrono::steady_clock::time_point limit) COGWHEEL_EXCLUDES(mutex_);
  // Ends those whose caller `check` refuses by now: a token that was revoked or has expired.
  void CloseRefused(const std::function<absl::Status(const Caller&)>& check)
      COGWHEEL_EXCLUDES(mutex_);
  // What is there to tell now, and is not much, is told first.
  void CloseAll(const absl::Status& why) COGWHEEL_EXCLUDES(mutex_);
  size_t size() const COGWHEEL_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::shared_ptr<LiveStream> stream;
    Caller caller;
  };
  struct Open {
    int streams = 0;
    int downloads = 0;
  };
  absl::Status CheckLimits(const Caller& caller) const COGWHEEL_REQUIRES(mutex_);
  std::map<const LiveStream*, Entry> Entries() const COGWHEEL_EXCLUDES(mutex_);

  const Limits limits_;
  mutable Mutex mutex_;
  std::map<const LiveStream*, Entry> streams_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Open> open_ COGWHEEL_GUARDED_BY(mutex_);  // by tenant; none is empty
  std::map<std::string, TenantLimits> tenant_limits_ COGWHEEL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
