#include "server/store_probe.h"

#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_job_store.h"
#include "tests/support/memory_job_store.h"
#include "tests/support/memory_results.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;

class StoreProbeTest : public testing::Test {
 protected:
  StoreProbeTest() {
    faulty_.fault = [this](const std::string& method) {
      writes_ += method == "Probe" ? 1 : 0;
      return method == "Probe" ? write_fault_ : absl::OkStatus();
    };
  }
  void Try() {
    clock_.Advance(seconds(1));
    probe_.Try();
  }

  FakeClock clock_;
  ServerMetrics metrics_{MakeRegistry()};
  MemoryJobStore store_;
  FaultyJobStore faulty_{store_};
  MemoryResults results_;
  StoreHealth health_{clock_, metrics_};
  int64_t largest_ = 0;
  StoreProbe probe_{{faulty_, results_, health_, clock_, [this] { return largest_; }}};
  const absl::Status full_ =
      MakeError(absl::StatusCode::kResourceExhausted, "STORE_FULL", "/data/tmp/room: no space");
  absl::Status write_fault_;
  int writes_ = 0;
};

TEST_F(StoreProbeTest, FindsAFullDiskThatNobodyHasWrittenTo) {
  Try();
  EXPECT_TRUE(health_.ok());
  results_.begin_fault = full_;
  Try();
  EXPECT_EQ("the server's disk is full", health_.reason());
  results_.begin_fault = absl::OkStatus();
  Try();
  EXPECT_TRUE(health_.ok());
}

TEST_F(StoreProbeTest, AStoreThatTakesNoWriteIsNotWell) {
  write_fault_ = MakeError(absl::StatusCode::kUnavailable, "STORE", "disk I/O error");
  Try();
  EXPECT_FALSE(health_.ok());
  Try();
  EXPECT_FALSE(health_.ok());
  write_fault_ = absl::OkStatus();
  Try();
  EXPECT_TRUE(health_.ok());
}

// At least 1 MiB, where nothing waits.
TEST_F(StoreProbeTest, AsksForTheRoomOfTheLargestResultThatIsWaitedFor) {
  Try();
  EXPECT_EQ(int64_t{1} << 20, results_.asked_room);
  largest_ = 50'000'000;
  Try();
  EXPECT_EQ(50'000'000, results_.asked_room);
}

// Each write is a sync: seldom while all is well, each second while it is not.
TEST_F(StoreProbeTest, WritesSeldomWhileAllIsWell) {
  for (int i = 0; i < 10; ++i) Try();
  EXPECT_EQ(2, writes_);
  health_.Failed("test", full_);
  results_.begin_fault = full_;
  for (int i = 0; i < 10; ++i) Try();
  EXPECT_EQ(12, writes_);
}

}  // namespace
}  // namespace cogwheel
