#pragma once

#include <cstdint>

// What all tensors of this process hold of host memory. Thread-safe: ATen asks for memory on any
// thread.
namespace cogwheel {

// From here on ATen's allocator for the CPU counts; calls after the first change nothing. Once for
// the process, because ATen has one such allocator a process and never gives it back.
void CountCpuMemory();

int64_t CpuBytesHeld();
// The most that was held since the last ResetCpuPeak.
int64_t CpuBytesPeak();
void ResetCpuPeak();

// Within its life a request that would bring what is held above `bytes` throws
// c10::OutOfMemoryError. Under a control group malloc itself never fails: the kernel kills the
// process instead, and its group with it. One at a time.
class CpuMemoryLimit {
 public:
  explicit CpuMemoryLimit(int64_t bytes);
  ~CpuMemoryLimit();
  CpuMemoryLimit(const CpuMemoryLimit&) = delete;
  CpuMemoryLimit& operator=(const CpuMemoryLimit&) = delete;
};

}  // namespace cogwheel
