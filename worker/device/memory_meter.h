#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/device/memory_room.h"

namespace cogwheel {

// A device's memory as the allocator of this process's tensors there counts it: the same calls for
// CPU and GPUs. On the CPU after CountCpuMemory.
class MemoryMeter {
 public:
  explicit MemoryMeter(at::Device device) : device_(device) {}

  bool on_gpu() const { return device_.is_cuda(); }
  int64_t Held() const;
  // The most that was held since the last Restart.
  int64_t Peak() const;
  void Restart() const;
  // How much more could be held. `processes`: those that share this host's memory; a GPU is one's.
  MemoryRoom Room(int processes) const;

 private:
  const at::Device device_;
};

}  // namespace cogwheel
