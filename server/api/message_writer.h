#pragma once

#include <chrono>
#include <optional>

#include <grpcpp/support/server_callback.h>

#include "base/mutex.h"
#include "server/api/api_parts.h"
#include "server/api/raw_request.h"
#include "server/api/rpc_call.h"

namespace cogwheel {

// The part that all server streams share: one message in flight, Finish once and last, a caller
// that goes away, a reader that stalls. gRPC calls back on its own threads; Start* and Finish are
// called with the lock, so that nothing starts after Finish. Deleted by gRPC's OnDone alone.
template <typename Message>
class MessageWriter : public grpc::ServerWriteReactor<grpc::ByteBuffer>, public LiveStream {
 public:
  MessageWriter(const char* method, grpc::CallbackServerContext* context, const ApiParts& parts)
      : parts_(parts), call_(method, *context, parts), context_(context) {
    const std::optional<absl::Status> closed = parts_.streams.Add(this);
    MutexLock lock(mutex_);
    if (closed.has_value()) end_ = closed;
    if (!call_.tenant().ok()) end_ = call_.tenant().status();
  }

  void OnWriteDone(bool ok) final {
    MutexLock lock(mutex_);
    writing_since_.reset();
    if (!ok) caller_gone_ = true;
    Advance();
  }
  void OnCancel() final {
    MutexLock lock(mutex_);
    caller_gone_ = true;
    Advance();
  }
  void OnDone() final {
    parts_.streams.Remove(this);
    OnOver();
    { MutexLock lock(mutex_); }  // whoever called Finish has let go
    delete this;
  }

  bool StalledSince(std::chrono::steady_clock::time_point limit) const final {
    MutexLock lock(mutex_);
    return !cut_ && writing_since_.has_value() && *writing_since_ < limit;
  }
  void Cut() final {
    {
      MutexLock lock(mutex_);
      cut_ = true;
    }
    context_->TryCancel();
  }
  void Close(const absl::Status& why) final {
    MutexLock lock(mutex_);
    if (!end_.has_value()) end_ = why;
    Advance();
  }

  // While an answer is awaited that will call this stream, it must not end.
  void Pin() {
    MutexLock lock(mutex_);
    pinned_ = true;
  }
  void Unpin() {
    MutexLock lock(mutex_);
    pinned_ = false;
    Advance();
  }

  const RpcCall& call() const { return call_; }
  // The caller's, or why it may not call: the stream then ends with that.
  const absl::StatusOr<std::string>& tenant() const { return call_.tenant(); }

 protected:
  // Fills in `message` and returns true, or returns false: there is nothing to send now, or End was
  // called.
  virtual bool Next(Message& message) COGWHEEL_REQUIRES(mutex_) = 0;
  // Last words, without the lock: the stream is over, for whatever reason.
  virtual void OnOver() {}

  void End(const absl::Status& status) COGWHEEL_REQUIRES(mutex_) {
    if (!end_.has_value()) end_ = status;
  }
  bool caller_gone() const COGWHEEL_REQUIRES(mutex_) { return caller_gone_; }

  // Something may have changed: sends the next message or finishes.
  void Advance() COGWHEEL_REQUIRES(mutex_) {
    if (writing_since_.has_value() || finished_ || pinned_) return;
    if (caller_gone_) End(absl::CancelledError("the caller has left"));
    Message message;
    if (!end_.has_value() && Next(message)) {
      writing_since_ = parts_.clock.Now();
      bytes_ = ToBytes(message);
      parts_.metrics.api_sent_bytes_total.Increment({call_.method()},
                                                    static_cast<double>(bytes_.Length()));
      return StartWrite(&bytes_);
    }
    if (!end_.has_value()) return;
    finished_ = true;
    Finish(call_.End(*end_));
  }

  const ApiParts parts_;
  mutable Mutex mutex_;

 private:
  const RpcCall call_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer bytes_ COGWHEEL_GUARDED_BY(mutex_);  // being written
  std::optional<std::chrono::steady_clock::time_point> writing_since_ COGWHEEL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ COGWHEEL_GUARDED_BY(mutex_);
  bool caller_gone_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool cut_ COGWHEEL_GUARDED_BY(mutex_) = false;  // once: its write may stay in flight for long
  bool pinned_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool finished_ COGWHEEL_GUARDED_BY(mutex_) = false;
};

}  // namespace cogwheel
