#pragma once

#include <memory>
#include <optional>
#include <string>

#include <absl/status/status.h>

#include "server/events/event_log.h"

namespace cogwheel {

// How a stream came to its end.
enum class StreamEnd {
  kServer,      // by itself, or cut or closed by the server
  kCallerLeft,  // the caller cancelled, or its connection broke
};

// What a stream sends. One call at a time, each after the one before.
class MessageSource {
 public:
  // A message's bytes, or the status that the stream ends with; neither: nothing now.
  struct Pulled {
    std::optional<std::string> message;
    std::optional<absl::Status> end;
  };
  virtual ~MessageSource() = default;
  // What is next, on the I/O pool: may wait for a disk or a database. When there was nothing it is
  // asked again once `waker` was told.
  virtual Pulled Pull(const std::shared_ptr<EventWatcher>& waker) = 0;
  // The last call: the stream is over. Must not wait.
  virtual void OnOver(const EventWatcher& /*waker*/, StreamEnd /*end*/) {}
};

}  // namespace cogwheel
