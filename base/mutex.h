#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// std::mutex with clang's thread-safety annotations: the packaged absl::Mutex gives false races
// under TSan.
#if defined(__clang__)
#define COGWHEEL_ANNOTATION(x) __attribute__((x))
#else
#define COGWHEEL_ANNOTATION(x)
#endif
#define COGWHEEL_GUARDED_BY(m) COGWHEEL_ANNOTATION(guarded_by(m))
#define COGWHEEL_REQUIRES(m) COGWHEEL_ANNOTATION(requires_capability(m))
#define COGWHEEL_EXCLUDES(m) COGWHEEL_ANNOTATION(locks_excluded(m))

namespace cogwheel {

class COGWHEEL_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() COGWHEEL_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() COGWHEEL_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class COGWHEEL_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) COGWHEEL_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() COGWHEEL_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that the caller holds. Every wait has a limit.
class CondVar {
 public:
  // False when the limit passed and the condition is still false.
  template <typename Condition>
  bool WaitFor(Mutex& mutex, std::chrono::nanoseconds limit, Condition condition)
      COGWHEEL_REQUIRES(mutex) {
    return condition_.wait_for(mutex, limit, condition);
  }
  void NotifyAll() { condition_.notify_all(); }
  // Where all waiters are alike.
  void NotifyOne() { condition_.notify_one(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace cogwheel
