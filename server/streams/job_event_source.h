#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "server/events/event_log.h"
#include "server/job/answer.h"
#include "server/job/job_store.h"
#include "server/streams/holders.h"
#include "server/streams/message_source.h"

namespace cogwheel {

// A job's events, one after the other, to the terminal one: from the log while it holds them, else
// a snapshot from the store. Events go out as they are, a chunk with its bytes.
class JobEventSource final : public MessageSource {
 public:
  struct Parts {
    const JobStore& store;
    EventLog& events;
    Holders& holders;
  };
  struct Options {
    int64_t after = 0;  // sequence
    bool include_video = false;
    bool end_with_job = false;  // the job's error is the stream's status
    bool hold = false;          // a job that is held
  };
  // Which job: asked once, on the pool; the answer may come later.
  using Find = std::function<void(Answer<Job>)>;
  JobEventSource(Parts parts, Options options, Find find)
      : parts_(parts), options_(options), find_(std::move(find)), after_(options.after) {}

  Pulled Pull(const std::shared_ptr<EventWatcher>& waker) override;
  void OnOver(const EventWatcher& waker, StreamEnd end) override;

 private:
  // What `find` answered, perhaps when the stream is long over.
  struct Found {
    Mutex mutex;
    std::optional<absl::StatusOr<Job>> job COGWHEEL_GUARDED_BY(mutex);
  };
  Pulled Follow(const Job& job, const std::shared_ptr<EventWatcher>& waker);
  Pulled Next();
  Pulled NextFromStore();
  Pulled Snapshot(int64_t sequence);
  Pulled EndWithJob() const;

  const Parts parts_;
  const Options options_;
  Find find_;  // empty once asked
  const std::shared_ptr<Found> found_ = std::make_shared<Found>();
  std::string tenant_, job_;  // empty until it is known
  int64_t after_;             // sequence
  bool holding_ = false;
  bool told_from_store_ = false;
};

}  // namespace cogwheel
