#include "base/io_pool.h"

#include <utility>

namespace cogwheel {

IoPool::IoPool(Limits limits) : limits_(limits) {
  for (int i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

IoPool::~IoPool() { Stop(); }

void IoPool::Add(const std::string& key, Task task) {
  Line& line = lines_[key];
  if (line.tasks.empty() && !line.runs) turns_.push_back(key);
  line.tasks.push_back(std::move(task));
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
                      (line != lines_.end() && line->second.tasks.size() >= limits_.line);
    if (stopped_ || full) return false;
    Add(key, std::move(task));
  }
  changed_.NotifyOne();
  return true;
}

std::pair<std::string, IoPool::Task> IoPool::Next() {
  std::string key = std::move(turns_.front());
  turns_.pop_front();
  const auto line = lines_.find(key);
  Task task = std::move(line->second.tasks.front());
  line->second.tasks.pop_front();
  --waiting_;
  line->second.runs = limits_.in_order;
  if (!limits_.in_order && line->second.tasks.empty()) {
    lines_.erase(line);
  } else if (!limits_.in_order) {
    turns_.push_back(key);
  }
  return {std::move(key), std::move(task)};
}

void IoPool::OnDone(const std::string& key) {
  MutexLock lock(mutex_);
  const auto line = lines_.find(key);
  if (line == lines_.end()) return;  // stopped
  line->second.runs = false;
  if (line->second.tasks.empty()) {
    lines_.erase(line);
  } else {
    turns_.push_back(key);
  }
}

void IoPool::Run() {
  constexpr std::chrono::seconds kTurn{1};  // every wait has a limit
  for (;;) {
    std::pair<std::string, Task> next;
    {
      MutexLock lock(mutex_);
      changed_.WaitFor(mutex_, kTurn,
                       [this]() COGWHEEL_REQUIRES(mutex_) { return stopped_ || !turns_.empty(); });
      if (stopped_) return;
      if (turns_.empty()) continue;
      next = Next();
    }
    next.second();
    next.second = nullptr;  // what it holds goes before the next of its line runs
    if (limits_.in_order) OnDone(next.first);
  }
}

void IoPool::Stop() {
  std::map<std::string, Line> dropped;  // goes without the lock
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
