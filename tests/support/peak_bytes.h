#pragma once

#include <algorithm>
#include <cstdint>

#include <c10/core/Allocator.h>

namespace cogwheel {

// Tensor bytes of one thread, at their peak, while a c10::DebugInfoGuard of kind PROFILER_STATE
// holds it.
class PeakBytes final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* /*ptr*/, int64_t alloc_size, size_t /*total_allocated*/,
                         size_t /*total_reserved*/, c10::Device /*device*/) override {
    current_ += alloc_size;
    peak_ = std::max(peak_, current_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t peak() const { return peak_; }

 private:
  int64_t current_ = 0;
  int64_t peak_ = 0;
};

}  // namespace cogwheel
