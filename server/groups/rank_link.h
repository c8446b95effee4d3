#pragma once

#include <cstdint>

#include <absl/status/status.h>

#include "cogwheel/internal/v1/rank_control.pb.h"

namespace cogwheel {

using RankId = int64_t;  // of one Join stream, never used again

// The way to one rank. Thread-safe.
class RankLink {
 public:
  virtual ~RankLink() = default;
  // Queued; a rank that does not take its messages is closed.
  virtual void Send(const internal::v1::FrontendMessage& message) = 0;
  // Ends the stream after what was sent. `why` is its status.
  virtual void Close(const absl::Status& why) = 0;
  // What the rank sends is not read just now, since earlier messages are not handled yet: that
  // nothing is heard of it means nothing.
  virtual bool held() const = 0;
};

}  // namespace cogwheel
