#pragma once

#include <deque>
#include <optional>

#include <absl/status/status.h>

#include "base/mutex.h"
#include "cogwheel/internal/v1/rank_control.pb.h"
#include "server/groups/rank_link.h"

namespace cogwheel {

// What gRPC does with one Join stream when it is told to; in tests, what they write down. The
// methods return at once; what follows is told to the link.
class RankWire {
 public:
  virtual ~RankWire() = default;
  virtual void StartRead() = 0;
  // `message` stays where it is until OnWritten.
  virtual void StartWrite(const internal::v1::FrontendMessage& message) = 0;
  // Once, with nothing being written.
  virtual void Finish(const absl::Status& why) = 0;
  virtual void Cancel() = 0;
};

// What both sides of a rank's stream share: when it is read, written and ended. The wire goes when
// gRPC is done with it; the link stays for those who hold it and then does nothing. Thread-safe;
// sees no gRPC, so that its pacing can be checked for data races.
//
// A rank that sends faster than its messages are handled is not read: at most kMaxUnhandled are
// with the dispatcher. Heartbeats are not among them, of which only the last waits: a dispatcher
// that is behind still lets them be answered.
class RankStreamLink final : public RankLink {
 public:
  static constexpr size_t kMaxOutbox = 64;  // messages; a job is one
  static constexpr int kMaxUnhandled = 8;   // of 256 KiB when honest, what the port takes at most

  explicit RankStreamLink(RankWire* wire) : wire_(wire) {}

  void Send(const internal::v1::FrontendMessage& message) override COGWHEEL_EXCLUDES(mutex_);
  void Close(const absl::Status& why) override COGWHEEL_EXCLUDES(mutex_);
  bool held() const override COGWHEEL_EXCLUDES(mutex_);

  // The wire's: a message was read, and is on its way to the dispatcher.
  void OnArrived() COGWHEEL_EXCLUDES(mutex_);
  // A heartbeat was read. True: it is to be posted, and what is taken there is the last of all.
  bool OnHeartbeat(internal::v1::RankMessage beat) COGWHEEL_EXCLUDES(mutex_);
  void OnWritten(bool ok) COGWHEEL_EXCLUDES(mutex_);
  // The call is over; what came before is still read, if it can be: a job that was handed back is
  // told from one that was lost.
  void OnCancelled() COGWHEEL_EXCLUDES(mutex_);
  // Nothing more can be read.
  void OnReadEnd() COGWHEEL_EXCLUDES(mutex_);
  void Detach() COGWHEEL_EXCLUDES(mutex_);

  // The dispatcher's: it is done with a message that was not a heartbeat.
  void OnHandled() COGWHEEL_EXCLUDES(mutex_);
  internal::v1::RankMessage TakeHeartbeat() COGWHEEL_EXCLUDES(mutex_);

  // A first message has come.
  bool greeted() const COGWHEEL_EXCLUDES(mutex_);

 private:
  void Advance() COGWHEEL_REQUIRES(mutex_);
  void ReadOn() COGWHEEL_REQUIRES(mutex_);

  mutable Mutex mutex_;
  RankWire* wire_ COGWHEEL_GUARDED_BY(mutex_);
  std::deque<internal::v1::FrontendMessage> outbox_
      COGWHEEL_GUARDED_BY(mutex_);  // front is written
  std::optional<internal::v1::RankMessage> heartbeat_ COGWHEEL_GUARDED_BY(mutex_);
  bool greeted_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool writing_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool closing_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool finished_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool cancelled_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool paused_ COGWHEEL_GUARDED_BY(mutex_) = false;
  int unhandled_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  absl::Status why_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
