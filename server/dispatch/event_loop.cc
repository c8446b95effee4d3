#include "server/dispatch/event_loop.h"

#include <utility>

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr size_t kMaxTasks = 10'000;

}  // namespace

EventLoop::~EventLoop() { Stop(); }

void EventLoop::Start() {
  {
    MutexLock lock(mutex_);
    last_turn_ = clock_.Now();
  }
  thread_ = std::thread([this] { Run(); });
}

void EventLoop::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    tasks_.clear();
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void EventLoop::Post(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyAll();
}

bool EventLoop::TryPost(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopped_ || tasks_.size() >= kMaxTasks) return false;
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyAll();
  return true;
}

std::chrono::nanoseconds EventLoop::SinceLastTurn() const {
  MutexLock lock(mutex_);
  return clock_.Now() - last_turn_;
}

bool EventLoop::RunNext() {
  std::function<void()> task;
  {
    MutexLock lock(mutex_);
    if (stopped_ || tasks_.empty()) return false;
    task = std::move(tasks_.front());
    tasks_.pop_front();
    last_turn_ = clock_.Now();
  }
  task();
  return true;
}

void EventLoop::RunWaiting() {
  size_t waiting = 0;
  {
    MutexLock lock(mutex_);
    waiting = tasks_.size();
  }
  while (waiting-- > 0 && RunNext()) {
  }
}

void EventLoop::Tick() {
  for (const auto& tick : ticks_) tick();
}

void EventLoop::Run() {
  Time next_tick = clock_.Now() + kTick;
  while (true) {
    {
      MutexLock lock(mutex_);
      const auto wait = next_tick - clock_.Now();
      changed_.WaitFor(mutex_, wait,
                       [this]() COGWHEEL_REQUIRES(mutex_) { return stopped_ || !tasks_.empty(); });
      if (stopped_) return;
      last_turn_ = clock_.Now();
    }
    RunWaiting();
    if (clock_.Now() < next_tick) continue;
    RunWaiting();  // a message that came while others were handled is not a late one
    Tick();
    next_tick = clock_.Now() + kTick;
  }
}

void EventLoop::RunPending() {
  while (RunNext()) {
  }
  Tick();
}

}  // namespace cogwheel
