#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "cogwheel/v1/video_service.pb.h"
#include "server/job/result_store.h"

namespace cogwheel {

// Told that a job has new events. Called on the thread that appends, the dispatcher's, without a
// lock of the log: it notes that, or posts a task, and must not wait.
class EventWatcher {
 public:
  virtual ~EventWatcher() = default;
  virtual void OnEvents() = 0;
};

// The recent events of every job, each job's in a bounded ring. Each Append wakes the job's
// watchers, and they read on from where they are at their own pace: one that is slow loses old
// events (kGap) and costs nothing. Chunks are kept as offsets into the result, not as bytes, and
// apart from the other events: who does not ask for them never looks at one. Thread-safe.
class EventLog {
 public:
  struct Bounds {
    size_t events = 1024;            // a job, and as many chunks
    size_t bytes = 4 * 1024 * 1024;  // a job
    size_t finished_jobs = 64;       // whose events are kept
  };
  EventLog() : bounds_() {}
  explicit EventLog(Bounds bounds) : bounds_(bounds) {}

  // Begins a job's line: what is read of it then is that nothing has happened yet.
  void Open(const std::string& job) COGWHEEL_EXCLUDES(mutex_);
  // Fills in job, attempt and sequence (the next one, at least attempt * 2^32) and wakes watchers.
  // A terminal event is the last. Returns the sequence.
  int64_t Append(const std::string& job, int32_t attempt, v1::JobEvent event)
      COGWHEEL_EXCLUDES(mutex_);
  // A chunk: `bytes` at event.chunk().offset() of `data`.
  int64_t AppendChunk(const std::string& job, int32_t attempt, v1::JobEvent event, int64_t bytes,
                      std::shared_ptr<const ResultReader> data) COGWHEEL_EXCLUDES(mutex_);

  // The sequence that the next Append would return. Only the one who appends may rely on it.
  int64_t PeekSequence(const std::string& job, int32_t attempt) const COGWHEEL_EXCLUDES(mutex_);

  enum class Found {
    kEvent,    // `event`; a chunk's bytes are to be read from `data`
    kNothing,  // not yet
    kGap,      // events up to `sequence` are no longer held: send a snapshot with that sequence
    kEnd,      // the terminal event was at or before `after`
    kUnknown,  // no events held: the store knows the rest, or the first is still to come
  };
  struct Next {
    Found found = Found::kUnknown;
    std::shared_ptr<const v1::JobEvent> event;
    int64_t sequence = 0;
    int64_t chunk_bytes = 0;
    std::shared_ptr<const ResultReader> data;
  };
  // Sets progress and queue_position of a job that the store knows as it is, by its last events.
  void Describe(v1::Job& job) const COGWHEEL_EXCLUDES(mutex_);
  Next ReadAfter(const std::string& job, int64_t after, bool include_video) const
      COGWHEEL_EXCLUDES(mutex_);

  // From now on, also of a job whose line does not exist yet.
  void Watch(const std::string& job, const std::shared_ptr<EventWatcher>& watcher)
      COGWHEEL_EXCLUDES(mutex_);
  void Unwatch(const std::string& job, const EventWatcher* watcher) COGWHEEL_EXCLUDES(mutex_);
  // The job was deleted.
  void Forget(const std::string& job) COGWHEEL_EXCLUDES(mutex_);

 private:
  using Watchers = std::vector<std::shared_ptr<EventWatcher>>;
  struct Held {
    std::shared_ptr<const v1::JobEvent> event;
    int64_t chunk_bytes = 0;
    std::shared_ptr<const ResultReader> data;
    int64_t sequence = 0;
    size_t cost = 0;
  };
  struct Ring {
    std::deque<Held> events;      // of rising sequence
    int64_t dropped_through = 0;  // sequence
    const Held* FirstAfter(int64_t sequence) const;
    void DropOldest();
    int64_t oldest() const;  // the highest number of all when empty
  };
  struct Line {
    Ring told, chunks;
    size_t cost = 0;
    int64_t last = 0;  // sequence
    bool ended = false;
    int32_t queue_position = 0;
    v1::Progress progress;         // the latest,
    int32_t progress_attempt = 0;  // of this attempt; 0: none
  };
  int64_t Add(const std::string& job, int32_t attempt, v1::JobEvent event, Held held)
      COGWHEEL_EXCLUDES(mutex_);
  void Keep(Line& line, Held held) COGWHEEL_REQUIRES(mutex_);
  void Finished(const std::string& job) COGWHEEL_REQUIRES(mutex_);
  Watchers WatchersOf(const std::string& job) const COGWHEEL_REQUIRES(mutex_);

  const Bounds bounds_;
  mutable Mutex mutex_;
  std::map<std::string, Line> lines_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Watchers> watchers_ COGWHEEL_GUARDED_BY(mutex_);
  std::deque<std::string> finished_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
