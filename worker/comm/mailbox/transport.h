#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "worker/comm/mailbox/inbox.h"
#include "worker/comm/mailbox/message_marks.h"

namespace cogwheel {

// How messages reach another rank's inbox: a function call between threads, a socket between
// processes. Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int world_rank() const = 0;
  virtual Inbox& inbox() = 0;
  // Hands a message over without waiting for the receiver; the bytes are copied. Throws CommError
  // when the receiver is too far behind.
  // `key`: as the receiver knows it.
  virtual void Post(int to, const MessageKey& key, const MessageMark& mark,
                    std::span<const std::byte> data) = 0;
  // To all others.
  virtual void PostNote(const MessageMark& note) = 0;
  // To all ranks, this one too: they hear it as Inbox::HearPromise.
  virtual void PostPromise(std::chrono::milliseconds time) = 0;
  // Ends the work on this rank's inbox and on the others'.
  virtual void Abandon(int64_t work, const std::string& why) = 0;
  // Fails this rank's inbox and lets the others know.
  virtual void Abort(const std::string& reason) = 0;
};

}  // namespace cogwheel
