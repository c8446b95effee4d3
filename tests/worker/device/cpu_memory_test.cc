#include "worker/device/cpu_memory.h"

#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/device/memory_meter.h"

namespace cogwheel {
namespace {

constexpr int64_t kMebi = 1 << 20;
constexpr int64_t kSlack = 16384;  // malloc rounds up to pages

at::Tensor Bytes(int64_t count) { return at::empty({count}, at::TensorOptions(at::kByte)); }

class CpuMemoryTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { CountCpuMemory(); }
  const MemoryMeter meter_{at::kCPU};
  const int64_t before_ = meter_.Held();
};

TEST_F(CpuMemoryTest, CountsWhatIsHeldAndItsPeak) {
  meter_.Restart();
  EXPECT_EQ(meter_.Peak(), before_);
  {
    const at::Tensor kept = Bytes(3 * kMebi);
    EXPECT_NEAR(meter_.Held() - before_, 3 * kMebi, kSlack);
    Bytes(5 * kMebi);
    EXPECT_NEAR(meter_.Held() - before_, 3 * kMebi, kSlack);
    EXPECT_NEAR(meter_.Peak() - before_, 8 * kMebi, kSlack);
    meter_.Restart();
    EXPECT_NEAR(meter_.Peak() - before_, 3 * kMebi, kSlack);
  }
  EXPECT_EQ(meter_.Held(), before_);
  EXPECT_NEAR(meter_.Peak() - before_, 3 * kMebi, kSlack);
}

TEST_F(CpuMemoryTest, CountsOnAllThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int j = 0; j < 1000; ++j) Bytes(64 + j);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(meter_.Held(), before_);
}

// The limit is what may be held in all, not what one request asks for.
TEST_F(CpuMemoryTest, RefusesWhatIsAboveTheLimit) {
  const auto too_much = [] { Bytes(5 * kMebi); };
  {
    const CpuMemoryLimit limit(before_ + 8 * kMebi);
    EXPECT_NO_THROW(too_much());
    const at::Tensor kept = Bytes(4 * kMebi);
    EXPECT_THROW(too_much(), c10::OutOfMemoryError);
    EXPECT_NO_THROW(Bytes(3 * kMebi));
  }
  EXPECT_NO_THROW(too_much());
  EXPECT_EQ(meter_.Held(), before_);
}

// What a library asks for by ATen's raw calls is counted as well.
TEST_F(CpuMemoryTest, CountsRawBlocks) {
  c10::Allocator* const allocator = c10::GetAllocator(c10::kCPU);
  void* const block = allocator->raw_allocate(kMebi);
  EXPECT_NEAR(meter_.Held() - before_, kMebi, kSlack);
  allocator->raw_deallocate(block);
  EXPECT_EQ(meter_.Held(), before_);
}

TEST_F(CpuMemoryTest, NoBytesAreNoBlock) {
  Bytes(0);
  EXPECT_EQ(meter_.Held(), before_);
}

}  // namespace
}  // namespace cogwheel
