#include "worker/device/heap.h"

#include <malloc.h>

namespace cogwheel {
namespace {

constexpr int kMebi = 1 << 20;

}  // namespace

void KeepHeapTight() {
  mallopt(M_MMAP_THRESHOLD, 4 * kMebi);
  mallopt(M_TRIM_THRESHOLD, 32 * kMebi);
  mallopt(M_ARENA_MAX, 2);
}

}  // namespace cogwheel
