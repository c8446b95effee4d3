#include "worker/comm/nccl/nccl_handle.h"

#include <stdexcept>
#include <string>
#include <thread>

namespace cogwheel {
namespace {

using Clock = std::chrono::steady_clock;

// How long a healthy communicator may take to end, which waits for its other ranks, before it is
// aborted.
constexpr std::chrono::seconds kFinalizeLimit{5};
// What each pair exchanges to connect; a whole line of device memory for each.
constexpr size_t kGreetingBytes = 128;

// Device memory for the time of a scope.
class DeviceBytes {
 public:
  explicit DeviceBytes(size_t size) { CheckCuda(cudaMalloc(&data_, size), "cudaMalloc"); }
  ~DeviceBytes() { cudaFree(data_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  std::span<std::byte> Piece(int idx) const {
    return {static_cast<std::byte*>(data_) + idx * kGreetingBytes, kGreetingBytes};
  }

 private:
  void* data_ = nullptr;
};

CudaEvent Record(cudaStream_t stream, unsigned flags) {
  cudaEvent_t event = nullptr;
  CheckCuda(cudaEventCreateWithFlags(&event, flags), "cudaEventCreate");
  CudaEvent owned(event, [](cudaEvent_t e) { cudaEventDestroy(e); });
  CheckCuda(cudaEventRecord(event, stream), "cudaEventRecord");
  return owned;
}

}  // namespace

void CheckCuda(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  throw std::runtime_error("this rank's GPU: " + std::string(what) + ": " +
                           cudaGetErrorString(result));
}

void CheckNccl(ncclResult_t result, const char* what) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  throw CommError(std::string(what) + ": " + ncclGetErrorString(result) + ": " +
                  ncclGetLastError(nullptr));
}

CudaEvent RecordEvent(cudaStream_t stream) { return Record(stream, cudaEventDisableTiming); }
CudaEvent RecordTimedEvent(cudaStream_t stream) { return Record(stream, cudaEventDefault); }

NcclHandle::NcclHandle(const Options& options) : options_(options) {
  {
    const MutexLock lock(mutex_);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    CheckNccl(ncclCommInitRankConfig(&comm_, options_.size, options_.id, options_.rank, &config),
              "NCCL's start");
    AwaitReady("NCCL's start");
  }
  ConnectPairs();
}

NcclHandle::~NcclHandle() {
  {
    const MutexLock lock(mutex_);
    if (comm_ == nullptr) return;
    const Clock::time_point deadline = Clock::now() + kFinalizeLimit;
    ncclResult_t state = ncclCommFinalize(comm_);
    while (state == ncclInProgress && Clock::now() < deadline) {
      std::this_thread::yield();
      if (ncclCommGetAsyncError(comm_, &state) != ncclSuccess) break;
    }
    if (state == ncclSuccess) {
      ncclCommDestroy(comm_);
      comm_ = nullptr;
    }
  }
  Abort();
}

// Without this NCCL would connect two ranks when they first exchange, holding up the one that comes
// first until the other one does.
void NcclHandle::ConnectPairs() {
  const DeviceBytes buffer(2 * options_.size * kGreetingBytes);
  std::vector<SendPiece> sends;
  std::vector<RecvPiece> recvs;
  for (int peer = 0; peer < options_.size; ++peer) {
    if (peer == options_.rank) continue;
    sends.push_back({.peer = peer, .data = buffer.Piece(peer)});
    recvs.push_back({.peer = peer, .data = buffer.Piece(options_.size + peer)});
  }
  const Clock::time_point deadline = Clock::now() + options_.limit;
  Exchange(sends, recvs, cudaStreamPerThread);
  const CudaEvent done = RecordEvent(cudaStreamPerThread);
  cudaError_t state = cudaErrorNotReady;
  while ((state = cudaEventQuery(done.get())) == cudaErrorNotReady) {
    if (Clock::now() >= deadline) {
      Abort();
      throw CommError("NCCL's ranks did not exchange a word within the time limit");
    }
    std::this_thread::yield();
  }
  CheckCuda(state, "NCCL's first exchange");
}

void NcclHandle::Exchange(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
                          cudaStream_t stream) {
  const MutexLock lock(mutex_);
  if (comm_ == nullptr) throw CommError("the communicator was aborted");
  CheckNccl(ncclGroupStart(), "ncclGroupStart");
  for (const SendPiece& piece : sends) {
    CheckNccl(ncclSend(piece.data.data(), piece.data.size(), ncclUint8, piece.peer, comm_, stream),
              "ncclSend");
  }
  for (const RecvPiece& piece : recvs) {
    CheckNccl(ncclRecv(piece.data.data(), piece.data.size(), ncclUint8, piece.peer, comm_, stream),
              "ncclRecv");
  }
  CheckNccl(ncclGroupEnd(), "ncclGroupEnd");
  AwaitReady("an exchange");
}

// NCCL starts everything on a thread of its own, which takes microseconds for an exchange.
void NcclHandle::AwaitReady(const char* what) {
  const Clock::time_point deadline = Clock::now() + options_.limit;
  while (true) {
    ncclResult_t state = ncclSuccess;
    CheckNccl(ncclCommGetAsyncError(comm_, &state), what);
    CheckNccl(state, what);
    if (state == ncclSuccess) return;
    if (Clock::now() >= deadline) {
      throw CommError(std::string(what) + " did not come about within the time limit");
    }
    std::this_thread::yield();
  }
}

std::optional<std::string> NcclHandle::Error() {
  const MutexLock lock(mutex_);
  if (comm_ == nullptr) return std::nullopt;
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
  const ncclResult_t worse = asked != ncclSuccess ? asked : state;
  if (worse == ncclSuccess || worse == ncclInProgress) return std::nullopt;
  return std::string(ncclGetErrorString(worse)) + ": " + ncclGetLastError(comm_);
}

void NcclHandle::Abort() {
  const MutexLock lock(mutex_);
  if (comm_ == nullptr) return;
  ncclCommAbort(comm_);
  comm_ = nullptr;
}

}  // namespace cogwheel
