#include "server/dispatch/event_loop.h"

#include <cstdint>
#include <ctime>
#include <utility>

#include <pthread.h>
#include <sys/resource.h>

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr size_t kMaxTasks = 10'000;

// Seconds of a turn. One that gave up its CPU has waited for something: its time is the wall's. One
// that did not has only computed: what else passed, others computed in its place.
class TurnWatch {
 public:
  double Seconds() const {
    const Stand now = Read();
    return now.waits > start_.waits ? now.wall - start_.wall : now.cpu - start_.cpu;
  }

 private:
  struct Stand {
    double wall = 0, cpu = 0;
    int64_t waits = 0;
  };
  static double Of(clockid_t clock) {
    timespec time;
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  static Stand Read() {
    rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return {Of(CLOCK_MONOTONIC), Of(CLOCK_THREAD_CPUTIME_ID), usage.ru_nvcsw};
  }
  const Stand start_ = Read();
};

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
  std::deque<std::function<void()>> dropped;  // goes without the lock
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    dropped.swap(tasks_);
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
  Timed(task);
  return true;
}

void EventLoop::Timed(const std::function<void()>& turn) {
  if (!meters_.turn) return turn();
  const TurnWatch watch;
  turn();
  meters_.turn(watch.Seconds());
}

size_t EventLoop::waiting() const {
  MutexLock lock(mutex_);
  return tasks_.size();
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
  for (const auto& tick : ticks_) Timed(tick);
}

void EventLoop::Run() {
  pthread_setname_np(pthread_self(), "dispatcher");  // for those who look from outside
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
    const std::chrono::duration<double> lag = clock_.Now() - next_tick;
    if (meters_.lag) meters_.lag(lag.count());
    Tick();
    next_tick = clock_.Now() + kTick;
  }
}

void EventLoop::RunTasks() {
  while (RunNext()) {
  }
}

void EventLoop::RunPending() {
  RunTasks();
  Tick();
}

}  // namespace cogwheel
