#include "base/io_pool.h"

#include <utility>

namespace cogwheel {

IoPool::IoPool(Limits limits) : limits_(limits) {
  for (int i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

IoPool::~IoPool() { Stop(); }

void IoPool::Add(const std::string& key, Task task) {
  std::deque<Task>& line = lines_[key];
  if (line.empty()) turns_.push_back(key);
  line.push_back(std::move(task));
  ++waiting_;
}

void IoPool::Post(const std::string& key, Task task) {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    Add(key, std::move(task));
  }
  changed_.NotifyOne();
}

bool IoPool::TryPost(const std::string& key, Task task) {
  {
    MutexLock lock(mutex_);
    const auto line = lines_.find(key);
    const bool full = waiting_ >= limits_.all ||
                      (line != lines_.end() && line->second.size() >= limits_.line);
    if (stopped_ || full) return false;
    Add(key, std::move(task));
  }
  changed_.NotifyOne();
  return true;
}

IoPool::Task IoPool::Next() {
  const auto line = lines_.find(turns_.front());
  turns_.pop_front();
  Task task = std::move(line->second.front());
  line->second.pop_front();
  --waiting_;
  if (line->second.empty()) {
    lines_.erase(line);
  } else {
    turns_.push_back(line->first);
  }
  return task;
}

void IoPool::Run() {
  constexpr std::chrono::seconds kTurn{1};  // every wait has a limit
  for (;;) {
    Task task;
    {
      MutexLock lock(mutex_);
      changed_.WaitFor(mutex_, kTurn, [this]() COGWHEEL_REQUIRES(mutex_) {
        return stopped_ || !turns_.empty();
      });
      if (stopped_) return;
      if (turns_.empty()) continue;
      task = Next();
    }
    task();
  }
}

void IoPool::Stop() {
  std::map<std::string, std::deque<Task>> dropped;  // goes without the lock
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    std::swap(dropped, lines_);
    turns_.clear();
    waiting_ = 0;
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

size_t IoPool::waiting() const {
  MutexLock lock(mutex_);
  return waiting_;
}

}  // namespace cogwheel
