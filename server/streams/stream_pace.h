#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/io_pool.h"
#include "base/mutex.h"
#include "server/streams/message_source.h"
#include "server/streams/stream_registry.h"

namespace cogwheel {

// The network's part of a stream: calls that start something and must not wait.
class StreamWire {
 public:
  virtual ~StreamWire() = default;
  virtual void Write(std::string message) = 0;          // answered by OnWritten
  virtual void Finish(const absl::Status& status) = 0;  // the last call; answered by OnOver
  virtual void CancelCall() = 0;                        // answered by OnCancelled
};

// The course of one stream: a source is asked on the pool, one message is in flight, and Finish is
// called once, last, and never beside a question to the source. Whoever wakes a stream sets a flag
// and perhaps posts a task: it waits for nobody, no wake is lost, and a stream has one task in the
// pool at most. No lock is held while the source is asked. Thread-safe.
class StreamPace final : public EventWatcher,
                         public LiveStream,
                         public std::enable_shared_from_this<StreamPace> {
 public:
  struct Parts {
    StreamWire& wire;  // until OnOver
    IoPool& pool;
    const Clock& clock;
    std::string line;  // of the pool
  };
  explicit StreamPace(Parts parts) : parts_(std::move(parts)) {}

  // Once: from now on `source` is asked.
  void Begin(std::unique_ptr<MessageSource> source) COGWHEEL_EXCLUDES(mutex_);
  // There may be something to send.
  void OnEvents() override;

  // Answers of the wire.
  void OnWritten(bool ok) COGWHEEL_EXCLUDES(mutex_);
  void OnCancelled() COGWHEEL_EXCLUDES(mutex_);
  void OnOver() COGWHEEL_EXCLUDES(mutex_);

  bool StalledSince(std::chrono::steady_clock::time_point limit) const override;
  void Cut() override;
  void Close(const absl::Status& why, int more) override COGWHEEL_EXCLUDES(mutex_);

 private:
  enum class Turn { kNone, kRunning, kDue };
  static constexpr std::chrono::nanoseconds kNotWriting{0};

  void TakeTurn() COGWHEEL_EXCLUDES(mutex_);
  void PostTurn();
  void Ask() COGWHEEL_EXCLUDES(mutex_);
  // False when the source is not to be asked now, or never again.
  bool MayAsk() COGWHEEL_EXCLUDES(mutex_);
  void Send(std::string message) COGWHEEL_REQUIRES(mutex_);
  // The call is broken, by the caller unless the server did it.
  void Break() COGWHEEL_REQUIRES(mutex_);
  void FinishIfDue() COGWHEEL_REQUIRES(mutex_);

  const Parts parts_;
  std::unique_ptr<MessageSource> source_;  // set by Begin, then of the turns and of OnOver
  std::atomic<Turn> turn_{Turn::kNone};    // kDue, kRunning: a task is in the pool
  std::atomic<bool> cut_{false};           // once: its write may stay in flight for long
  std::atomic<std::chrono::nanoseconds> writing_since_{kNotWriting};
  Mutex mutex_;
  bool writing_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool asking_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool finished_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool over_ COGWHEEL_GUARDED_BY(mutex_) = false;  // the wire is gone
  std::optional<absl::Status> end_ COGWHEEL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closing_ COGWHEEL_GUARDED_BY(mutex_);  // the end that Close wants,
  int more_ COGWHEEL_GUARDED_BY(mutex_) = 0;                         // after so many messages
  StreamEnd how_ COGWHEEL_GUARDED_BY(mutex_) = StreamEnd::kServer;
};

}  // namespace cogwheel
