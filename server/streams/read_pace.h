#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/io_pool.h"
#include "base/mutex.h"
#include "server/streams/stream_registry.h"

namespace cogwheel {

// The network's part of a stream that is read: calls that start something and must not wait.
class ReadWire {
 public:
  virtual ~ReadWire() = default;
  virtual void Read() = 0;                              // answered by OnMessage or OnNoMessage
  virtual void Finish(const absl::Status& status) = 0;  // the last call; answered by OnOver
  virtual void CancelCall() = 0;                        // answered by OnCancelled
};

// The course of one stream that is read: a message is waited for or worked on, never both, and
// Finish is called once, last, and never beside the work. Thread-safe.
class ReadPace final : public LiveStream, public std::enable_shared_from_this<ReadPace> {
 public:
  struct Parts {
    ReadWire& wire;  // until OnOver
    IoPool& pool;
    const Clock& clock;
    std::string line;  // of the pool
  };
  // Answered once, from any thread: the status that the stream ends with, or none: the next message
  // is read.
  using Answered = std::function<void(std::optional<absl::Status>)>;
  // On the pool: may wait for a disk.
  using Work = std::function<void(const Answered& done)>;

  explicit ReadPace(Parts parts) : parts_(std::move(parts)) {}

  // Once.
  void Begin() COGWHEEL_EXCLUDES(mutex_);

  // Answers of the wire. `end`: what the stream ends with that has no more messages.
  void OnMessage(Work work) COGWHEEL_EXCLUDES(mutex_);
  void OnNoMessage(const absl::Status& end) COGWHEEL_EXCLUDES(mutex_);
  void OnCancelled() COGWHEEL_EXCLUDES(mutex_);
  void OnOver() COGWHEEL_EXCLUDES(mutex_);

  // When no message came.
  bool StalledSince(std::chrono::steady_clock::time_point limit) const override;
  void Cut() override;
  void Close(const absl::Status& why, int more) override COGWHEEL_EXCLUDES(mutex_);

 private:
  static constexpr std::chrono::nanoseconds kNotReading{0};

  void OnWorked(const std::optional<absl::Status>& end) COGWHEEL_EXCLUDES(mutex_);
  void GoOn() COGWHEEL_REQUIRES(mutex_);

  const Parts parts_;
  std::atomic<bool> cut_{false};
  std::atomic<std::chrono::nanoseconds> reading_since_{kNotReading};
  Mutex mutex_;
  bool working_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool finished_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool over_ COGWHEEL_GUARDED_BY(mutex_) = false;  // the wire is gone
  std::optional<absl::Status> end_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
