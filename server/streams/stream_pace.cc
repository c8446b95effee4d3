#include "server/streams/stream_pace.h"

#include <utility>

namespace cogwheel {

void StreamPace::Begin(std::unique_ptr<MessageSource> source) {
  {
    MutexLock lock(mutex_);
    if (end_.has_value()) return;
    source_ = std::move(source);
  }
  OnEvents();
}

void StreamPace::OnEvents() {
  if (turn_.exchange(Turn::kDue) == Turn::kNone) PostTurn();
}

void StreamPace::PostTurn() {
  parts_.pool.Post(parts_.line, [self = shared_from_this()] { self->TakeTurn(); });
}

void StreamPace::TakeTurn() {
  turn_ = Turn::kRunning;
  Ask();
  Turn running = Turn::kRunning;
  // Woken meanwhile: again, behind the others of the pool.
  if (!turn_.compare_exchange_strong(running, Turn::kNone)) PostTurn();
}

bool StreamPace::MayAsk() {
  MutexLock lock(mutex_);
  if (writing_ || source_ == nullptr) return false;
  if (!end_.has_value() && closing_.has_value() && more_-- <= 0) end_ = closing_;
  asking_ = !end_.has_value();
  FinishIfDue();
  return asking_;
}

void StreamPace::Ask() {
  if (!MayAsk()) return;
  MessageSource::Pulled pulled = source_->Pull(shared_from_this());
  MutexLock lock(mutex_);
  asking_ = false;
  if (!end_.has_value() && pulled.end.has_value()) end_ = *std::move(pulled.end);
  if (!end_.has_value() && pulled.message.has_value()) return Send(*std::move(pulled.message));
  if (!end_.has_value()) end_ = closing_;
  FinishIfDue();
}

void StreamPace::Send(std::string message) {
  writing_ = true;
  writing_since_ = parts_.clock.Now().time_since_epoch();
  parts_.wire.Write(std::move(message));
}

void StreamPace::FinishIfDue() {
  if (!end_.has_value() || writing_ || asking_ || finished_) return;
  finished_ = true;
  parts_.wire.Finish(*end_);
}

void StreamPace::Break() {
  if (end_.has_value()) return;
  const bool left = !cut_ && !closing_.has_value();
  if (left) how_ = StreamEnd::kCallerLeft;
  end_ = closing_.value_or(
      absl::CancelledError(left ? "the caller has left" : "the reader took nothing for too long"));
}

void StreamPace::OnWritten(bool ok) {
  {
    MutexLock lock(mutex_);
    writing_ = false;
    writing_since_ = kNotWriting;
    if (!ok) Break();
    FinishIfDue();
    if (finished_) return;
  }
  OnEvents();
}

void StreamPace::OnCancelled() {
  MutexLock lock(mutex_);
  Break();
  FinishIfDue();
}

void StreamPace::OnOver() {
  StreamEnd how;
  {
    MutexLock lock(mutex_);  // whoever called Finish has let go
    over_ = true;
    how = how_;
  }
  if (source_ != nullptr) source_->OnOver(*this, how);
}

bool StreamPace::StalledSince(std::chrono::steady_clock::time_point limit) const {
  const std::chrono::nanoseconds since = writing_since_;
  return !cut_ && since != kNotWriting && since < limit.time_since_epoch();
}

void StreamPace::Cut() {
  cut_ = true;
  parts_.pool.Post(parts_.line, [self = shared_from_this()] {
    MutexLock lock(self->mutex_);
    if (!self->over_) self->parts_.wire.CancelCall();
  });
}

void StreamPace::Close(const absl::Status& why, int more) {
  {
    MutexLock lock(mutex_);
    if (!closing_.has_value()) closing_ = why;
    more_ = more;
    if (!end_.has_value() && (more == 0 || source_ == nullptr)) end_ = closing_;
    FinishIfDue();
    if (finished_) return;
  }
  OnEvents();
}

}  // namespace cogwheel
