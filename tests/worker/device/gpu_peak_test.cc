#include "worker/device/gpu_peak.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// Dense figures of the data sheets, TFLOP/s.
TEST(GpuPeakTest, KnowsTheDataSheets) {
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA H200", true), 989.4e12);
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA H100 80GB HBM3", true), 989.4e12);
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA H100 80GB HBM3", false), 67e12);
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA H100 PCIe", true), 756e12);
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA H200 NVL", true), 835.5e12);
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA A100-SXM4-80GB", true), 312e12);
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA L4", true), 121e12);
  EXPECT_EQ(PeakOperationsPerSecond("NVIDIA L40S", true), 362e12);
}

TEST(GpuPeakTest, GuessesNothing) {
  for (const char* name : {"", "NVIDIA GeForce GTX 1080", "NVIDIA L40", "NVIDIA H2000",
                           "NVIDIA H100 80GB HBM3 MIG 1g.10gb"}) {
    EXPECT_EQ(PeakOperationsPerSecond(name, true), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace cogwheel
