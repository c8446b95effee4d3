#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "base/mutex.h"

namespace cogwheel {

// Bounds the memory that arriving requests take before it is known who sends them: gRPC gathers up
// to 17 MiB a call, 256 calls a connection, and its own quota counts late (4,000 half-open requests
// under one of 512 MiB took 6 GiB). When the process has grown too large, the connections that have
// received most since it was last small are cut; their callers may come again. Has a thread.
class ReceiveGuard {
 public:
  struct Parts {
    int port = 0;            // whose connections are cut
    int64_t most_bytes = 0;  // of the whole process
    std::function<int64_t()> resident_bytes = &ResidentBytes;
  };
  explicit ReceiveGuard(Parts parts);
  ~ReceiveGuard();
  ReceiveGuard(const ReceiveGuard&) = delete;
  ReceiveGuard& operator=(const ReceiveGuard&) = delete;

  static int64_t ResidentBytes();

 private:
  void Run() COGWHEEL_EXCLUDES(mutex_);
  void Look();
  void CutGreediest(int64_t excess_bytes) const;

  const Parts parts_;
  int looks_ = 0;                             // while it was small
  int looks_left_ = 0;                        // to wait until what was cut is given back
  std::map<std::string, uint64_t> received_;  // by peer, when the process was last small
  Mutex mutex_;
  CondVar changed_;
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace cogwheel
