#include "server/api/rank_stream_link.h"

#include <utility>

namespace cogwheel {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;

void RankStreamLink::Send(const FrontendMessage& message) {
  MutexLock lock(mutex_);
  if (wire_ == nullptr || closing_) return;
  if (outbox_.size() >= kMaxOutbox) return wire_->Cancel();
  outbox_.push_back(message);
  Advance();
}

void RankStreamLink::Close(const absl::Status& why) {
  MutexLock lock(mutex_);
  if (closing_) return;
  closing_ = true;
  why_ = why;
  Advance();
}

bool RankStreamLink::held() const {
  MutexLock lock(mutex_);
  return paused_ && !cancelled_;
}

bool RankStreamLink::greeted() const {
  MutexLock lock(mutex_);
  return greeted_;
}

void RankStreamLink::OnArrived() {
  MutexLock lock(mutex_);
  greeted_ = true;
  ++unhandled_;
  paused_ = unhandled_ >= kMaxUnhandled && !cancelled_;
  ReadOn();
}

bool RankStreamLink::OnHeartbeat(RankMessage beat) {
  MutexLock lock(mutex_);
  const bool waits = heartbeat_.has_value();
  heartbeat_ = std::move(beat);
  ReadOn();
  return !waits;
}

void RankStreamLink::OnHandled() {
  MutexLock lock(mutex_);
  --unhandled_;
  if (std::exchange(paused_, false)) ReadOn();
}

RankMessage RankStreamLink::TakeHeartbeat() {
  MutexLock lock(mutex_);
  return *std::exchange(heartbeat_, std::nullopt);
}

void RankStreamLink::OnWritten(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  outbox_.pop_front();
  if (!ok) outbox_.clear();
  Advance();
}

void RankStreamLink::OnCancelled() {
  MutexLock lock(mutex_);
  cancelled_ = true;
  if (std::exchange(paused_, false)) ReadOn();
}

void RankStreamLink::OnReadEnd() {
  MutexLock lock(mutex_);
  closing_ = true;
  if (!writing_) outbox_.clear();
  Advance();
}

void RankStreamLink::Detach() {
  MutexLock lock(mutex_);
  wire_ = nullptr;
}

void RankStreamLink::ReadOn() {
  if (wire_ != nullptr && !paused_ && !finished_) wire_->StartRead();
}

// One write in flight; Finish once nothing is left to write. Called with the lock, so that no write
// can start after Finish; gRPC calls back on threads of its own.
void RankStreamLink::Advance() {
  if (wire_ == nullptr || writing_ || finished_) return;
  if (!outbox_.empty()) {
    writing_ = true;
    return wire_->StartWrite(outbox_.front());
  }
  if (!closing_) return;
  finished_ = true;
  wire_->Finish(why_);
}

}  // namespace cogwheel
