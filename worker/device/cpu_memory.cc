#include "worker/device/cpu_memory.h"

#include <atomic>
#include <limits>

#include <malloc.h>

#include <c10/core/CPUAllocator.h>

namespace cogwheel {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
constexpr uint8_t kPriority = 1;  // above ATen's own

// The counts are the process's, as the allocator that ATen registers is: what frees a block gets
// its address alone.
std::atomic<int64_t> held{0}, peak{0}, limit{kNoLimit};

int64_t SizeOf(void* block) { return static_cast<int64_t>(malloc_usable_size(block)); }

void NotePeak(int64_t now) {
  int64_t before = peak;
  while (now > before && !peak.compare_exchange_weak(before, now)) {
  }
}

void Free(void* block) {
  held -= SizeOf(block);
  c10::GetDefaultCPUAllocator()->raw_deallocate(block);
}

// ATen's own allocator, with every block counted by what malloc set aside for it.
class CountedAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const int64_t asked = static_cast<int64_t>(bytes);
    const int64_t most = limit;
    TORCH_CHECK_WITH(OutOfMemoryError, asked <= most - held, "out of memory: ", asked,
                     " bytes asked, ", most - held, " left of what was free for the job");
    void* const block = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
    NotePeak(held += SizeOf(block));
    return {block, block, &Free, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};

}  // namespace

void CountCpuMemory() {
  static CountedAllocator allocator;
  c10::SetCPUAllocator(&allocator, kPriority);
}

int64_t CpuBytesHeld() { return held; }
int64_t CpuBytesPeak() { return peak; }
void ResetCpuPeak() { peak = held.load(); }

CpuMemoryLimit::CpuMemoryLimit(int64_t bytes) { limit = bytes; }
CpuMemoryLimit::~CpuMemoryLimit() { limit = kNoLimit; }

}  // namespace cogwheel
