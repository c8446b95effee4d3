#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace cogwheel {

// Threads for work that may wait for a disk or a database. Tasks stand in lines, one for each key
// (a tenant, say), and the lines take turns: who brings many tasks delays his own. Tasks of one
// line may run side by side. Thread-safe.
class IoPool {
 public:
  struct Limits {
    int threads = 8;
    size_t line = 256;  // tasks of one key that wait; for TryPost
    size_t all = 4096;  // tasks that wait; for TryPost
  };
  explicit IoPool(Limits limits);
  ~IoPool();  // Stop
  IoPool(const IoPool&) = delete;
  IoPool& operator=(const IoPool&) = delete;

  // For tasks whose number has a bound of its own. Dropped once stopped.
  void Post(const std::string& key, std::function<void()> task) COGWHEEL_EXCLUDES(mutex_);
  // For everybody else. False when too many wait, or it has stopped.
  bool TryPost(const std::string& key, std::function<void()> task) COGWHEEL_EXCLUDES(mutex_);
  // Waits for the tasks that run; those that wait are dropped. Not from a task. Idempotent.
  void Stop() COGWHEEL_EXCLUDES(mutex_);
  size_t waiting() const COGWHEEL_EXCLUDES(mutex_);

 private:
  using Task = std::function<void()>;
  void Add(const std::string& key, Task task) COGWHEEL_REQUIRES(mutex_);
  Task Next() COGWHEEL_REQUIRES(mutex_);
  void Run() COGWHEEL_EXCLUDES(mutex_);

  const Limits limits_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, std::deque<Task>> lines_ COGWHEEL_GUARDED_BY(mutex_);  // none is empty
  std::deque<std::string> turns_ COGWHEEL_GUARDED_BY(mutex_);  // each line once, the next first
  size_t waiting_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace cogwheel
