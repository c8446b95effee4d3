#include "worker/comm/nccl/nccl_watch.h"

#include <utility>

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kLookInterval{100};
constexpr size_t kKeptOperations = 8;

std::string Describe(const NcclWatch::Operation& operation) {
  return operation.name + " " + std::to_string(operation.sequence) + " (" +
         std::to_string(operation.bytes) + " bytes)";
}

}  // namespace

NcclWatch::NcclWatch(std::shared_ptr<Communicator> hosts, int device_idx,
                     std::chrono::milliseconds time_limit)
    : hosts_(std::move(hosts)), device_idx_(device_idx), time_limit_(time_limit) {
  thread_ = std::thread([this] { Run(); });
}

NcclWatch::~NcclWatch() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void NcclWatch::Add(const std::shared_ptr<NcclHandle>& handle) {
  const MutexLock lock(mutex_);
  handles_.push_back(handle);
}

void NcclWatch::Started(Operation operation) {
  const MutexLock lock(mutex_);
  last_.push_back(Describe(operation));
  if (last_.size() > kKeptOperations) last_.pop_front();
  open_.push_back(std::move(operation));
}

void NcclWatch::ThrowIfFailed() {
  const MutexLock lock(mutex_);
  if (!failure_.empty()) throw CommError(failure_);
}

void NcclWatch::Abort(const std::string& reason) {
  std::vector<std::shared_ptr<NcclHandle>> handles;
  std::string failure;
  {
    const MutexLock lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = reason + "; last exchanges: " + LastOperations();
    failure = failure_;
    open_.clear();
    for (const auto& handle : handles_) {
      if (auto alive = handle.lock()) handles.push_back(std::move(alive));
    }
  }
  hosts_->Abort(failure);
  for (const auto& handle : handles) handle->Abort();
}

std::string NcclWatch::LastOperations() const {
  std::string text = last_.empty() ? "none" : "";
  for (const std::string& operation : last_) text += (text.empty() ? "" : ", ") + operation;
  return text;
}

std::string NcclWatch::Look() {
  std::vector<std::shared_ptr<NcclHandle>> handles;
  {
    const MutexLock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    for (auto operation = open_.begin(); operation != open_.end();) {
      const cudaError_t state = cudaEventQuery(operation->done.get());
      if (state != cudaSuccess && state != cudaErrorNotReady) {
        return Describe(*operation) + ": " + cudaGetErrorString(state);
      }
      if (state == cudaErrorNotReady && now - operation->since > time_limit_) {
        return Describe(*operation) + " was not done within " +
               std::to_string(time_limit_.count()) + " ms";
      }
      operation = state == cudaSuccess ? open_.erase(operation) : std::next(operation);
    }
    for (const auto& handle : handles_) {
      if (auto alive = handle.lock()) handles.push_back(std::move(alive));
    }
  }
  for (const auto& handle : handles) {
    if (const std::optional<std::string> error = handle->Error()) return "NCCL: " + *error;
  }
  return "";
}

void NcclWatch::Run() {
  cudaSetDevice(device_idx_);
  while (true) {
    {
      const MutexLock lock(mutex_);
      if (changed_.WaitFor(mutex_, kLookInterval,
                           [this]() COGWHEEL_REQUIRES(mutex_) { return stopping_; }))
        return;
      if (!failure_.empty()) continue;
    }
    const std::string trouble = Look();
    if (!trouble.empty()) Abort(trouble);
  }
}

}  // namespace cogwheel
