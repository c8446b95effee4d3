#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include "base/mutex.h"
#include "worker/comm/communicator.h"

namespace cogwheel {

// Throws std::runtime_error naming `what`: the fault is this rank's device's, or its memory's
// ("out of memory"), and no peer's.
void CheckCuda(cudaError_t result, const char* what);
// Throws CommError naming `what`.
void CheckNccl(ncclResult_t result, const char* what);

// An event that is destroyed with its last owner.
using CudaEvent = std::shared_ptr<CUevent_st>;
CudaEvent RecordEvent(cudaStream_t stream);
// The same, for cudaEventElapsedTime.
CudaEvent RecordTimedEvent(cudaStream_t stream);

// One NCCL communicator, from its non-blocking start to its end. The rank thread exchanges; the
// watchdog may ask and abort at the same time.
class NcclHandle {
 public:
  struct Options {
    ncclUniqueId id;
    int rank = 0;
    int size = 0;
    std::chrono::milliseconds limit;  // of connecting, and of starting one exchange
  };
  // Connects every pair as well, so that no later exchange waits for a peer on the host. Throws
  // CommError.
  explicit NcclHandle(const Options& options);
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  // Puts the pieces on the stream as one operation. No piece is empty or this rank's own.
  void Exchange(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
                cudaStream_t stream) COGWHEEL_EXCLUDES(mutex_);

  // What NCCL found wrong since; nothing when all is well or after Abort. Thread-safe.
  std::optional<std::string> Error() COGWHEEL_EXCLUDES(mutex_);
  // Ends the operations on the device. Thread-safe; the handle is of no use afterwards.
  void Abort() COGWHEEL_EXCLUDES(mutex_);

 private:
  void ConnectPairs() COGWHEEL_EXCLUDES(mutex_);
  void AwaitReady(const char* what) COGWHEEL_REQUIRES(mutex_);

  const Options options_;
  Mutex mutex_;
  ncclComm_t comm_ COGWHEEL_GUARDED_BY(mutex_) = nullptr;  // null after Abort
};

}  // namespace cogwheel
