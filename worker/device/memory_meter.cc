#include "worker/device/memory_meter.h"

#include <malloc.h>

#include <c10/core/CachingDeviceAllocator.h>

#include "worker/device/cpu_memory.h"

namespace cogwheel {
namespace {

c10::DeviceAllocator& AllocatorOf(at::Device device) {
  return *c10::getDeviceAllocator(device.type());
}

// Of all its pools.
const c10::CachingAllocator::Stat& Whole(const c10::CachingAllocator::StatArray& stats) {
  return stats[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
}

// What malloc keeps of what was freed goes back, as far as whole pages do; what stays is mapped but
// free to be used again.
MemoryRoom RoomOnHost(int processes) {
  malloc_trim(0);
  MemoryRoom room = HostMemoryRoom(processes);
  if (room.limit.starts_with("ulimit")) room.bytes += static_cast<int64_t>(mallinfo2().fordblks);
  return room;
}

}  // namespace

int64_t MemoryMeter::Held() const {
  if (!device_.is_cuda()) return CpuBytesHeld();
  return Whole(AllocatorOf(device_).getDeviceStats(device_.index()).allocated_bytes).current;
}

int64_t MemoryMeter::Peak() const {
  if (!device_.is_cuda()) return CpuBytesPeak();
  return Whole(AllocatorOf(device_).getDeviceStats(device_.index()).allocated_bytes).peak;
}

void MemoryMeter::Restart() const {
  if (!device_.is_cuda()) return ResetCpuPeak();
  AllocatorOf(device_).resetPeakStats(device_.index());
}

MemoryRoom MemoryMeter::Room(int processes) const {
  if (!device_.is_cuda()) return RoomOnHost(processes);
  c10::DeviceAllocator& allocator = AllocatorOf(device_);
  const auto stats = allocator.getDeviceStats(device_.index());
  const int64_t kept = Whole(stats.reserved_bytes).current - Whole(stats.allocated_bytes).current;
  const auto free = static_cast<int64_t>(allocator.getMemoryInfo(device_.index()).first);
  return {.bytes = free + kept, .limit = "free memory of the GPU"};
}

}  // namespace cogwheel
