#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace cogwheel {

// Threads for work that may wait for a disk or a database. Tasks stand in lines, one for each key
// (a tenant, say), and the lines take turns: who brings many tasks delays his own. Thread-safe.
class IoPool {
 public:
  struct Limits {
    int threads = 8;
    size_t line = 256;      // tasks of one key that wait; for TryPost
    size_t all = 4096;      // tasks that wait; for TryPost
    bool in_order = false;  // the tasks of one line run one after the other, not side by side
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
  // The task whose turn it is, and its key.
  std::pair<std::string, Task> Next() COGWHEEL_REQUIRES(mutex_);
  void OnDone(const std::string& key) COGWHEEL_EXCLUDES(mutex_);
  void Run() COGWHEEL_EXCLUDES(mutex_);

  const Limits limits_;
  mutable Mutex mutex_;
  CondVar changed_;
  struct Line {
    std::deque<Task> tasks;
    bool runs = false;  // one of them does, and the others wait for it
  };
  std::map<std::string, Line> lines_
      COGWHEEL_GUARDED_BY(mutex_);                             // with tasks, or of one that runs
  std::deque<std::string> turns_ COGWHEEL_GUARDED_BY(mutex_);  // those that may go on; next first
  size_t waiting_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace cogwheel
