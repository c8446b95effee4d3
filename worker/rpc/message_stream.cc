#include "worker/rpc/message_stream.h"

#include <algorithm>

namespace cogwheel {
namespace {

// Chunks of 256 KiB: 8 MiB at most wait here.
constexpr size_t kMaxQueuedMessages = 32;
constexpr std::chrono::milliseconds kGivenUpInterval{100};

}  // namespace

MessageStream::MessageStream(internal::v1::RankControl::Stub& stub, const std::string& token,
                             Handlers handlers)
    : handlers_(std::move(handlers)) {
  if (!token.empty()) context_.AddMetadata("authorization", "bearer " + token);
  stub.async()->Join(&context_, this);
}

void MessageStream::Begin() {
  AddHold();  // writes start outside of reactions
  StartRead(&incoming_);
  StartCall();
}

absl::Status MessageStream::Send(internal::v1::RankMessage message, std::chrono::nanoseconds limit,
                                 const std::atomic<bool>& given_up) {
  const MutexLock lock(mutex_);
  bool room = false;
  for (; !room && limit.count() >= 0 && !given_up; limit -= kGivenUpInterval) {
    room = changed_.WaitFor(mutex_, std::min<std::chrono::nanoseconds>(limit, kGivenUpInterval),
                            [this]() COGWHEEL_REQUIRES(mutex_) {
                              return !held_ || outgoing_.size() < kMaxQueuedMessages;
                            });
  }
  if (!held_) return absl::UnavailableError("the stream to the frontend has ended");
  if (!room && given_up) return absl::CancelledError("nobody wants it any more");
  if (!room) return absl::DeadlineExceededError("the frontend does not read");
  outgoing_.push_back(std::move(message));
  if (!writing_) WriteFront();
  return absl::OkStatus();
}

void MessageStream::WriteFront() {
  writing_ = true;
  StartWrite(&outgoing_.front());
}

void MessageStream::StopWriting() {
  if (!held_) return;
  held_ = false;
  changed_.NotifyAll();
  RemoveHold();
}

bool MessageStream::Flush(std::chrono::nanoseconds limit) {
  const MutexLock lock(mutex_);
  const bool settled = changed_.WaitFor(
      mutex_, limit, [this]() COGWHEEL_REQUIRES(mutex_) { return !held_ || outgoing_.empty(); });
  return settled && held_;
}

bool MessageStream::Close(std::chrono::nanoseconds limit) {
  Flush(limit / 4);
  const MutexLock lock(mutex_);
  if (held_ && !writing_) StartWritesDone();
  StopWriting();
  if (changed_.WaitFor(mutex_, limit / 4, [this]() COGWHEEL_REQUIRES(mutex_) { return done_; }))
    return true;
  context_.TryCancel();
  return changed_.WaitFor(mutex_, limit / 2, [this]() COGWHEEL_REQUIRES(mutex_) { return done_; });
}

void MessageStream::OnReadDone(bool ok) {
  if (!ok) {
    const MutexLock lock(mutex_);
    StopWriting();
    return;
  }
  handlers_.on_message(std::move(incoming_));
  incoming_.Clear();
  StartRead(&incoming_);
}

void MessageStream::OnWriteDone(bool ok) {
  const MutexLock lock(mutex_);
  writing_ = false;
  outgoing_.pop_front();
  if (!ok) {
    outgoing_.clear();
    StopWriting();
  } else if (held_ && !outgoing_.empty()) {
    WriteFront();
  }
  changed_.NotifyAll();
}

void MessageStream::OnDone(const grpc::Status& status) {
  handlers_.on_end(status);
  const MutexLock lock(mutex_);
  done_ = true;
  changed_.NotifyAll();
}

}  // namespace cogwheel
