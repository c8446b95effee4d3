#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"

namespace cogwheel {

// The dispatcher's thread: runs posted tasks in order, and ticks a few times a second. Everything
// that moves jobs or talks to groups is decided here. It never waits: whatever a disk, a database
// or a client must do is asked for and answered by a task (Later). Post, Later and the readings are
// thread-safe.
class EventLoop {
 public:
  explicit EventLoop(const Clock& clock) : clock_(clock) {}
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Called on each tick, in this order. Before Start only.
  void AddTick(std::function<void()> tick) { ticks_.push_back(std::move(tick)); }
  void Start();
  // Ends after the task that runs; what is posted later is dropped. Idempotent.
  void Stop();

  // For what must not be refused. Nothing here bounds it: accepted jobs are bounded by the queue's
  // limits and messages by each rank's stream, but streams that open and end are not.
  void Post(std::function<void()> task) COGWHEEL_EXCLUDES(mutex_);
  // For everybody else. False when the loop is behind or has stopped.
  bool TryPost(std::function<void()> task) COGWHEEL_EXCLUDES(mutex_);
  // Since the loop last came round: shows a hang.
  std::chrono::nanoseconds SinceLastTurn() const COGWHEEL_EXCLUDES(mutex_);

  // Hands an answer over: what it returns may be called on any thread, once, and `then` runs on the
  // loop's.
  template <typename Result>
  std::function<void(Result)> Later(std::function<void(Result)> then) {
    return [this, then = std::move(then)](Result answer) {
      Post([then, answer = std::move(answer)]() mutable { then(std::move(answer)); });
    };
  }

  struct Meters {
    std::function<void(double seconds)> turn;  // of one task or tick, without waiting for a CPU
    std::function<void(double seconds)> lag;   // of a tick behind its time
  };
  // Before Start only. Called on the loop's thread.
  void Measure(Meters meters) { meters_ = std::move(meters); }
  size_t waiting() const COGWHEEL_EXCLUDES(mutex_);

  // Without a thread, for tests: runs what is posted until nothing is.
  void RunTasks() COGWHEEL_EXCLUDES(mutex_);
  // The same, then ticks once.
  void RunPending() COGWHEEL_EXCLUDES(mutex_);

 private:
  using Time = std::chrono::steady_clock::time_point;
  void Run() COGWHEEL_EXCLUDES(mutex_);
  bool RunNext() COGWHEEL_EXCLUDES(mutex_);
  // What is there now and not what arrives meanwhile: no flood keeps the ticks away.
  void RunWaiting() COGWHEEL_EXCLUDES(mutex_);
  void Tick();
  void Timed(const std::function<void()>& turn);

  const Clock& clock_;
  Meters meters_;
  std::vector<std::function<void()>> ticks_;
  std::thread thread_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ COGWHEEL_GUARDED_BY(mutex_);
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  Time last_turn_ COGWHEEL_GUARDED_BY(mutex_){};
};

}  // namespace cogwheel
