#pragma once

#include <map>
#include <memory>
#include <thread>

#include <absl/status/status.h>

#include "base/mutex.h"
#include "server/api/rank_stream_link.h"
#include "server/dispatch/event_loop.h"

namespace cogwheel {

// The answer to a rank's heartbeat of that epoch.
internal::v1::FrontendMessage BeatOf(int64_t epoch);

// All Join streams: bounds them, and once a second says a word to ranks whose heartbeats wait
// unread behind other messages: a rank that hears nothing for 15 s takes the frontend for gone. So
// it should once the dispatcher hangs for good: then nobody is answered. Thread-safe.
class RankStreams {
 public:
  explicit RankStreams(const EventLoop& loop);
  ~RankStreams();

  // RESOURCE_EXHAUSTED (RANK_STREAMS) when there are too many, or too many that have not greeted.
  absl::Status Add(RankId id, std::shared_ptr<RankStreamLink> link) COGWHEEL_EXCLUDES(mutex_);
  void Remove(RankId id) COGWHEEL_EXCLUDES(mutex_);
  // The dispatcher goes on, or is late by less than what counts as hanging.
  bool MayAnswer() const;

 private:
  void SpeakToHeld() COGWHEEL_EXCLUDES(mutex_);

  const EventLoop& loop_;
  Mutex mutex_;
  CondVar changed_;
  std::map<RankId, std::shared_ptr<RankStreamLink>> links_ COGWHEEL_GUARDED_BY(mutex_);
  bool stopping_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::thread speaker_;
};

}  // namespace cogwheel
