#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "server/job/answer.h"
#include "server/job/job.h"
#include "server/streams/message_source.h"

namespace cogwheel {

// Who holds which job. A held job (Job::held) whose last holder has left is cancelled after a time
// of grace, in which another may take it up. What the server does itself (a stream cut, closed at
// shutdown, lost in a crash) is no leaving: such a job goes on until a holder has come and left.
// Thread-safe.
class Holders {
 public:
  Holders(const Clock& clock, std::chrono::seconds grace) : clock_(clock), grace_(grace) {}

  // A held job was made: its maker has the grace to hold it, and 5 seconds at least.
  void Expect(const Job& job) COGWHEEL_EXCLUDES(mutex_);
  void Hold(const Job& job) COGWHEEL_EXCLUDES(mutex_);
  // Of one that held it.
  void LetGo(const std::string& job, StreamEnd how) COGWHEEL_EXCLUDES(mutex_);

  using Cancel =
      std::function<void(const std::string& tenant, const std::string& job, Answer<Job> done)>;
  // Asks `cancel` for the jobs whose grace is over, and again after a second where that failed.
  void Tick(const Cancel& cancel) COGWHEEL_EXCLUDES(mutex_);
  // Jobs that are held, or wait for a holder.
  size_t size() const COGWHEEL_EXCLUDES(mutex_);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Entry {
    std::string tenant;
    int holders = 0;
    std::optional<Time> due;  // for its cancellation, while nobody holds it
  };
  Entry& EntryOf(const Job& job) COGWHEEL_REQUIRES(mutex_);
  void OnCancelled(const std::string& job, const absl::Status& status) COGWHEEL_EXCLUDES(mutex_);

  const Clock& clock_;
  const std::chrono::seconds grace_;
  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ COGWHEEL_GUARDED_BY(mutex_);  // by job
};

}  // namespace cogwheel
