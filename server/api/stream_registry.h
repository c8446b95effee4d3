#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <absl/status/status.h>

#include "base/mutex.h"

namespace cogwheel {

// A stream that is being written. Thread-safe.
class LiveStream {
 public:
  virtual ~LiveStream() = default;
  // True when one message has been waiting for the reader since before `limit`.
  virtual bool StalledSince(std::chrono::steady_clock::time_point limit) const = 0;
  // Ends it at once, as if its caller had gone.
  virtual void Cut() = 0;
  // Ends it with `why` once the message in flight is out.
  virtual void Close(const absl::Status& why) = 0;
};

// All streams being served: cuts those whose reader takes nothing, ends all at shutdown, and knows
// how many callers of Generate hold each job. Thread-safe.
class StreamRegistry {
 public:
  // Once CloseAll was called: the status that the stream is to end with at once.
  std::optional<absl::Status> Add(LiveStream* stream) COGWHEEL_EXCLUDES(mutex_);
  void Remove(LiveStream* stream) COGWHEEL_EXCLUDES(mutex_);
  // Returns how many were cut.
  int CutStalled(std::chrono::steady_clock::time_point limit) COGWHEEL_EXCLUDES(mutex_);
  void CloseAll(const absl::Status& why) COGWHEEL_EXCLUDES(mutex_);
  size_t size() const COGWHEEL_EXCLUDES(mutex_);

  void Hold(const std::string& job) COGWHEEL_EXCLUDES(mutex_);
  // True when nobody holds the job any more.
  bool LetGo(const std::string& job) COGWHEEL_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::set<LiveStream*> streams_ COGWHEEL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, int> holders_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
