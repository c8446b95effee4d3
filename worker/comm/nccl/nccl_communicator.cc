#include "worker/comm/nccl/nccl_communicator.h"

#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "worker/comm/nccl/nccl_handle.h"
#include "worker/comm/nccl/nccl_stream_waits.h"
#include "worker/comm/nccl/nccl_watch.h"

namespace cogwheel {
namespace {

// A stream of the current device that waits for no other.
class CopyStream {
 public:
  CopyStream() {
    int least = 0, greatest = 0;
    CheckCuda(cudaDeviceGetStreamPriorityRange(&least, &greatest), "stream priorities");
    // Ahead of the arithmetic that waits for it.
    CheckCuda(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, greatest),
              "cudaStreamCreate");
  }
  ~CopyStream() { cudaStreamDestroy(stream_); }
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class NcclCommunicator final : public Communicator {
 public:
  struct Parts {
    std::string name;
    std::shared_ptr<Communicator> hosts;  // of the same members
    std::shared_ptr<NcclWatch> watch;
    std::shared_ptr<int64_t> sent_bytes;  // these two are shared with splits
    std::shared_ptr<NcclStreamWaits> waits;
    NcclWorldOptions options;
  };

  explicit NcclCommunicator(Parts parts) : parts_(std::move(parts)) {
    if (size() == 1) return;
    ncclUniqueId id;
    if (rank() == 0) CheckNccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
    Broadcast(*parts_.hosts, /*root=*/0, std::as_writable_bytes(std::span(&id, 1)), nullptr);
    handle_ = std::make_shared<NcclHandle>(NcclHandle::Options{
        .id = id, .rank = rank(), .size = size(), .limit = parts_.options.connect_limit});
    parts_.watch->Add(handle_);
  }

  int rank() const override { return parts_.hosts->rank(); }
  int size() const override { return parts_.hosts->size(); }

  Ticket Start(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
               StreamHandle stream) override {
    parts_.watch->ThrowIfFailed();
    Open open;
    if (stream == nullptr) {
      open.hosts_ticket = parts_.hosts->Start(sends, recvs, nullptr);
    } else {
      open.stream = static_cast<cudaStream_t>(stream);
      open.done = StartOnDevice(sends, recvs, open.stream);
    }
    open_[next_ticket_] = std::move(open);
    return next_ticket_++;
  }

  void Finish(Ticket ticket) override {
    const auto node = open_.extract(ticket);
    if (node.empty()) throw std::logic_error("a ticket is finished that is not open");
    const Open& open = node.mapped();
    if (open.stream == nullptr) return parts_.hosts->Finish(open.hosts_ticket);
    parts_.watch->ThrowIfFailed();
    parts_.waits->Wait(open.stream, open.done);
  }

  bool Done(Ticket ticket) override {
    const auto open = open_.find(ticket);
    if (open == open_.end()) throw std::logic_error("a ticket is asked for that is not open");
    if (open->second.stream == nullptr) return parts_.hosts->Done(open->second.hosts_ticket);
    parts_.watch->ThrowIfFailed();
    const cudaError_t state = cudaEventQuery(open->second.done.get());
    if (state != cudaErrorNotReady) CheckCuda(state, "an exchange");
    return state == cudaSuccess;
  }

  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override {
    parts_.watch->ThrowIfFailed();
    Parts split = parts_;
    split.name = name;
    split.hosts = parts_.hosts->Split(members, name);
    return std::make_unique<NcclCommunicator>(std::move(split));
  }

  // Of the hosts' exchanges: those of devices are over, here and when a work is abandoned.
  void EnterWork(int64_t number) override { parts_.hosts->EnterWork(number); }
  void Abandon(const std::string& why) override { parts_.hosts->Abandon(why); }

  void Abort(const std::string& reason) override { parts_.watch->Abort(reason); }

  int64_t sent_bytes() const override { return parts_.hosts->sent_bytes() + *parts_.sent_bytes; }

 private:
  struct Open {
    cudaStream_t stream = nullptr;  // null: on the hosts
    CudaEvent done;
    Ticket hosts_ticket = 0;
  };

  CudaEvent StartOnDevice(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
                          cudaStream_t stream) {
    const CudaEvent ready = RecordEvent(stream);
    CheckCuda(cudaStreamWaitEvent(copies_.get(), ready.get()), "cudaStreamWaitEvent");
    std::vector<SendPiece> to_others, to_self;
    std::vector<RecvPiece> from_others, from_self;
    size_t bytes = 0;
    for (const SendPiece& piece : sends) {
      if (piece.data.empty()) continue;
      (piece.peer == rank() ? to_self : to_others).push_back(piece);
      if (piece.peer != rank()) *parts_.sent_bytes += static_cast<int64_t>(piece.data.size());
      bytes += piece.data.size();
    }
    for (const RecvPiece& piece : recvs) {
      if (piece.data.empty()) continue;
      (piece.peer == rank() ? from_self : from_others).push_back(piece);
      bytes += piece.data.size();
    }
    CopyToSelf(to_self, from_self);
    if (!to_others.empty() || !from_others.empty()) {
      handle_->Exchange(to_others, from_others, copies_.get());
    }
    const CudaEvent done = RecordEvent(copies_.get());
    parts_.watch->Started({.name = parts_.name,
                           .sequence = sequence_++,
                           .bytes = bytes,
                           .done = done,
                           .since = std::chrono::steady_clock::now()});
    return done;
  }

  void CopyToSelf(const std::vector<SendPiece>& sends, const std::vector<RecvPiece>& recvs) {
    if (sends.size() != recvs.size()) throw CommError("pieces to oneself do not match");
    for (size_t i = 0; i < sends.size(); ++i) {
      if (sends[i].data.size() != recvs[i].data.size()) {
        throw CommError("pieces to oneself do not match");
      }
      CheckCuda(cudaMemcpyAsync(recvs[i].data.data(), sends[i].data.data(), sends[i].data.size(),
                                cudaMemcpyDeviceToDevice, copies_.get()),
                "cudaMemcpyAsync");
    }
  }

  const Parts parts_;
  CopyStream copies_;
  std::shared_ptr<NcclHandle> handle_;  // null for a rank alone
  uint64_t sequence_ = 0;
  Ticket next_ticket_ = 1;
  std::map<Ticket, Open> open_;
};

}  // namespace

NcclWorld ConnectNcclWorld(std::unique_ptr<Communicator> hosts, const NcclWorldOptions& options) {
  CheckCuda(cudaSetDevice(options.device_idx), "cudaSetDevice");
  const std::shared_ptr<Communicator> shared = std::move(hosts);
  const auto waits = std::make_shared<NcclStreamWaits>();
  auto communicator = std::make_unique<NcclCommunicator>(NcclCommunicator::Parts{
      .name = "world",
      .hosts = shared,
      .watch = std::make_shared<NcclWatch>(shared, options.device_idx, options.time_limit),
      .sent_bytes = std::make_shared<int64_t>(0),
      .waits = waits,
      .options = options});
  return {.communicator = std::move(communicator), .stream_waits = waits};
}

std::string NcclVersion() {
  int version = 0;
  CheckNccl(ncclGetVersion(&version), "ncclGetVersion");
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

void ForbidNvlinkMulticast() {
  for (const auto& [name, value] :
       {std::pair("NCCL_NVLS_ENABLE", "0"), std::pair("TORCH_SYMM_MEM_DISABLE_MULTICAST", "1"),
        std::pair("NVSHMEM_DISABLE_NVLS", "1")}) {
    setenv(name, value, /*overwrite=*/1);
  }
}

}  // namespace cogwheel
