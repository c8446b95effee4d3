#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"

namespace cogwheel {

// The dispatcher's thread: runs posted tasks in order, and ticks a few times a second. Everything
// that moves jobs or talks to groups happens here. Post and the two readings are thread-safe.
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

  // Without a thread, for tests: runs what is posted until nothing is, then ticks once.
  void RunPending() COGWHEEL_EXCLUDES(mutex_);

 private:
  using Time = std::chrono::steady_clock::time_point;
  void Run() COGWHEEL_EXCLUDES(mutex_);
  bool RunNext() COGWHEEL_EXCLUDES(mutex_);
  // What is there now and not what arrives meanwhile: no flood keeps the ticks away.
  void RunWaiting() COGWHEEL_EXCLUDES(mutex_);
  void Tick();

  const Clock& clock_;
  std::vector<std::function<void()>> ticks_;
  std::thread thread_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ COGWHEEL_GUARDED_BY(mutex_);
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  Time last_turn_ COGWHEEL_GUARDED_BY(mutex_){};
};

}  // namespace cogwheel
