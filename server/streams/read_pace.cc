#include "server/streams/read_pace.h"

#include <utility>

namespace cogwheel {

void ReadPace::Begin() {
  MutexLock lock(mutex_);
  if (!finished_) GoOn();
}

void ReadPace::GoOn() {
  if (working_ || finished_) return;
  if (end_.has_value()) {
    finished_ = true;
    return parts_.wire.Finish(*end_);
  }
  reading_since_ = parts_.clock.Now().time_since_epoch();
  parts_.wire.Read();
}

void ReadPace::OnMessage(Work work) {
  {
    MutexLock lock(mutex_);
    reading_since_ = kNotReading;
    if (end_.has_value()) return;
    working_ = true;
  }
  parts_.pool.Post(parts_.line, [self = shared_from_this(), work = std::move(work)] {
    work([self](const std::optional<absl::Status>& end) { self->OnWorked(end); });
  });
}

void ReadPace::OnWorked(const std::optional<absl::Status>& end) {
  MutexLock lock(mutex_);
  working_ = false;
  if (!end_.has_value()) end_ = end;
  GoOn();
}

void ReadPace::OnNoMessage(const absl::Status& end) {
  MutexLock lock(mutex_);
  reading_since_ = kNotReading;
  if (!end_.has_value()) end_ = end;
  GoOn();
}

void ReadPace::OnCancelled() {
  MutexLock lock(mutex_);
  if (!end_.has_value()) {
    end_ =
        absl::CancelledError(cut_ ? "the caller sent nothing for too long" : "the caller has left");
  }
  GoOn();
}

void ReadPace::OnOver() {
  MutexLock lock(mutex_);  // whoever called Finish has let go
  over_ = true;
}

bool ReadPace::StalledSince(std::chrono::steady_clock::time_point limit) const {
  const std::chrono::nanoseconds since = reading_since_;
  return !cut_ && since != kNotReading && since < limit.time_since_epoch();
}

void ReadPace::Cut() {
  cut_ = true;
  parts_.pool.Post(parts_.line, [self = shared_from_this()] {
    MutexLock lock(self->mutex_);
    if (!self->over_) self->parts_.wire.CancelCall();
  });
}

void ReadPace::Close(const absl::Status& why, int /*more*/) {
  MutexLock lock(mutex_);
  if (!end_.has_value()) end_ = why;
  GoOn();
}

}  // namespace cogwheel
