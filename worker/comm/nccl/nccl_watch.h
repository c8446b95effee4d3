#pragma once

#include <chrono>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "worker/comm/nccl/nccl_handle.h"

namespace cogwheel {

// Watches the exchanges of one world and its splits, from a thread of its own: the rank thread may
// be stuck behind one of them. Thread-safe.
class NcclWatch {
 public:
  // One exchange on a stream.
  struct Operation {
    std::string name;       // of its communicator
    uint64_t sequence = 0;  // within it
    size_t bytes = 0;       // sent and received
    CudaEvent done;
    std::chrono::steady_clock::time_point since;
  };

  // `hosts` is aborted with the world.
  NcclWatch(std::shared_ptr<Communicator> hosts, int device_idx,
            std::chrono::milliseconds time_limit);
  ~NcclWatch();
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;

  void Add(const std::shared_ptr<NcclHandle>& handle) COGWHEEL_EXCLUDES(mutex_);
  void Started(Operation operation) COGWHEEL_EXCLUDES(mutex_);
  void ThrowIfFailed() COGWHEEL_EXCLUDES(mutex_);

  // The world is lost: ends every operation on the device, fails the hosts. The first reason stays.
  void Abort(const std::string& reason) COGWHEEL_EXCLUDES(mutex_);

 private:
  void Run();
  // What is wrong, if anything; forgets what is done.
  std::string Look() COGWHEEL_EXCLUDES(mutex_);
  std::string LastOperations() const COGWHEEL_REQUIRES(mutex_);

  const std::shared_ptr<Communicator> hosts_;
  const int device_idx_;
  const std::chrono::milliseconds time_limit_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::string failure_ COGWHEEL_GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<NcclHandle>> handles_ COGWHEEL_GUARDED_BY(mutex_);
  std::list<Operation> open_ COGWHEEL_GUARDED_BY(mutex_);
  std::deque<std::string> last_ COGWHEEL_GUARDED_BY(mutex_);  // for the report, the newest last
  std::thread thread_;
};

}  // namespace cogwheel
