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
// lock of the log.
class EventWatcher {
 public:
  virtual ~EventWatcher() = default;
  virtual void OnEvents() = 0;
};

// The recent events of every job, each job's in a bounded ring. Each Append wakes the job's
// watchers on its own thread, and they read on from where they are: one that is slow loses old
// events (kGap) and costs no memory, but what it does when woken costs the caller time. Chunks are
// kept as offsets into the result, not as bytes. Thread-safe.
class EventLog {
 public:
  struct Bounds {
    size_t events = 1024;            // a job
    size_t bytes = 4 * 1024 * 1024;  // a job
    size_t finished_jobs = 64;       // whose events are kept
  };
  EventLog() : bounds_() {}
  explicit EventLog(Bounds bounds) : bounds_(bounds) {}

  // Begins a job's line, so that watchers wait for its first event.
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
    kNothing,  // not yet, and nothing up to `sequence` is for this watcher
    kGap,      // events up to `sequence` are no longer held: send a snapshot with that sequence
    kEnd,      // the terminal event was at or before `after`
    kUnknown,  // no events held: the store knows the rest
  };
  struct Next {
    Found found = Found::kUnknown;
    v1::JobEvent event;
    int64_t sequence = 0;
    int64_t chunk_bytes = 0;
    std::shared_ptr<const ResultReader> data;
  };
  // Sets progress and queue_position of a job that the store knows as it is, by its last events.
  void Describe(v1::Job& job) const COGWHEEL_EXCLUDES(mutex_);
  Next ReadAfter(const std::string& job, int64_t after, bool include_video) const
      COGWHEEL_EXCLUDES(mutex_);

  void Watch(const std::string& job, const std::shared_ptr<EventWatcher>& watcher)
      COGWHEEL_EXCLUDES(mutex_);
  void Unwatch(const std::string& job, const EventWatcher* watcher) COGWHEEL_EXCLUDES(mutex_);
  // The job was deleted.
  void Forget(const std::string& job) COGWHEEL_EXCLUDES(mutex_);

 private:
  struct Held {
    v1::JobEvent event;
    int64_t chunk_bytes = 0;
    std::shared_ptr<const ResultReader> data;
    size_t cost = 0;
  };
  struct Line {
    std::deque<Held> events;
    size_t cost = 0;
    int64_t last = 0;             // sequence
    int64_t dropped_through = 0;  // sequence
    bool ended = false;
    int32_t queue_position = 0;
    v1::Progress progress;         // the latest,
    int32_t progress_attempt = 0;  // of this attempt; 0: none
    std::vector<std::shared_ptr<EventWatcher>> watchers;
  };
  int64_t Add(const std::string& job, int32_t attempt, Held held) COGWHEEL_EXCLUDES(mutex_);
  void DropOldest(Line& line) COGWHEEL_REQUIRES(mutex_);

  const Bounds bounds_;
  mutable Mutex mutex_;
  std::map<std::string, Line> lines_ COGWHEEL_GUARDED_BY(mutex_);
  std::deque<std::string> finished_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
