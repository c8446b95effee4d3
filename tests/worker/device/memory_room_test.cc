// Files as Linux writes them, in a folder in place of /.
#include "worker/device/memory_room.h"

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMega = 1'000'000;

class MemoryRoomTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ =
        fs::temp_directory_path() / ("cogwheel-room-" + std::to_string(getpid()) + "-" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    Write("proc/meminfo", "MemTotal: 9000000 kB\nMemFree: 7 kB\nMemAvailable:    8000000 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void Expect(int64_t bytes, const std::string& limit, int processes = 1) const {
    const MemoryRoom room = HostMemoryRoom(processes, root_.string());
    EXPECT_EQ(room.bytes, bytes);
    EXPECT_EQ(room.limit, limit);
  }
  // A control group of version 2.
  void WriteGroup(const std::string& folder, const std::string& max, int64_t current,
                  int64_t inactive = 0, int64_t active = 0) const {
    Write(folder + "/memory.max", max + "\n");
    Write(folder + "/memory.current", std::to_string(current) + "\n");
    Write(folder + "/memory.stat", "anon 5\nfile 999999999\ninactive_file " +
                                       std::to_string(inactive) + "\nactive_file " +
                                       std::to_string(active) + "\n");
  }
  // soft limits in bytes, used in kB
  void WriteUlimits(const std::string& size, const std::string& data, int64_t used_kb) const {
    Write("proc/self/limits",
          "Limit                     Soft Limit           Hard Limit           Units     \n"
          "Max cpu time              unlimited            unlimited            seconds   \n"
          "Max data size             " +
              data +
              "            unlimited            bytes     \n"
              "Max address space         " +
              size + "            unlimited            bytes     \n");
    Write("proc/self/status", "Name:\tx\nVmPeak:\t 99999999 kB\nVmSize:\t " +
                                  std::to_string(used_kb) + " kB\nVmData:\t " +
                                  std::to_string(used_kb / 2) + " kB\n");
  }
  fs::path root_;
};

TEST_F(MemoryRoomTest, WithoutALimitTheMachinesFreeMemoryIs) {
  Expect(8'000'000 * int64_t{1024}, "free memory of the machine");
  fs::remove_all(root_);
  Expect(std::numeric_limits<int64_t>::max(), "no limit");
}

TEST_F(MemoryRoomTest, RanksOfOneHostShareWhatIsTheHosts) {
  Expect(2'000'000 * int64_t{1024}, "free memory of the machine", /*processes=*/4);
}

TEST_F(MemoryRoomTest, AControlGroupOfVersion2) {
  Write("proc/self/cgroup", "0::/pod/worker\n");
  WriteGroup("sys/fs/cgroup/pod/worker", std::to_string(900 * kMega), 300 * kMega);
  Expect(600 * kMega, "cgroup memory.max");
  Expect(150 * kMega, "cgroup memory.max", /*processes=*/4);
  WriteGroup("sys/fs/cgroup/pod/worker", "max", 300 * kMega);
  Expect(8'000'000 * int64_t{1024}, "free memory of the machine");
}

// What was read from a checkpoint's files stays cached and goes when somebody needs the memory.
TEST_F(MemoryRoomTest, CacheThatNobodyUsesIsFree) {
  Write("proc/self/cgroup", "0::/\n");
  WriteGroup("sys/fs/cgroup", std::to_string(900 * kMega), 850 * kMega, 500 * kMega);
  Expect(550 * kMega, "cgroup memory.max");
  // Read twice it is active.
  WriteGroup("sys/fs/cgroup", std::to_string(900 * kMega), 850 * kMega, 100 * kMega, 500 * kMega);
  Expect(650 * kMega, "cgroup memory.max");
}

TEST_F(MemoryRoomTest, ALimitHoldsForTheGroupsBelow) {
  Write("proc/self/cgroup", "0::/slice/pod/worker\n");
  WriteGroup("sys/fs/cgroup/slice", std::to_string(400 * kMega), 300 * kMega);
  WriteGroup("sys/fs/cgroup/slice/pod/worker", std::to_string(900 * kMega), 10 * kMega);
  Expect(100 * kMega, "cgroup memory.max");
}

// In a container the path is the host's and only its own group is mounted.
TEST_F(MemoryRoomTest, OnlyTheTopIsMounted) {
  Write("proc/self/cgroup", "0::/kubepods/burstable/pod1/abc\n");
  WriteGroup("sys/fs/cgroup", std::to_string(400 * kMega), 100 * kMega);
  Expect(300 * kMega, "cgroup memory.max");
}

TEST_F(MemoryRoomTest, WhereAGroupIsThrottledThereIsNoRoom) {
  Write("proc/self/cgroup", "0::/\n");
  WriteGroup("sys/fs/cgroup", std::to_string(900 * kMega), 100 * kMega);
  Write("sys/fs/cgroup/memory.high", std::to_string(700 * kMega) + "\n");
  Expect(600 * kMega, "cgroup memory.high");
}

TEST_F(MemoryRoomTest, AControlGroupOfVersion1) {
  Write("proc/self/cgroup", "4:memory:/docker/a\n0::/\n");
  const std::string folder = "sys/fs/cgroup/memory/docker/a/";
  Write(folder + "memory.limit_in_bytes", std::to_string(500 * kMega) + "\n");
  Write(folder + "memory.usage_in_bytes", std::to_string(450 * kMega) + "\n");
  Write(folder + "memory.stat", "inactive_file 1\nactive_file 1\ntotal_inactive_file " +
                                    std::to_string(20 * kMega) + "\ntotal_active_file " +
                                    std::to_string(30 * kMega) + "\n");
  // The top has no limit, as version 1 writes it.
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(600 * kMega) + "\n");
  Expect(100 * kMega, "cgroup memory.limit_in_bytes");
}

TEST_F(MemoryRoomTest, AGroupOverItsLimitHasNoRoom) {
  Write("proc/self/cgroup", "0::/\n");
  WriteGroup("sys/fs/cgroup", std::to_string(100 * kMega), 150 * kMega);
  Expect(0, "cgroup memory.max");
}

// An ulimit is the process's own: nobody shares it.
TEST_F(MemoryRoomTest, Ulimits) {
  WriteUlimits("1740800000", "unlimited", 1'000'000);
  Expect(1740800000 - 1024 * kMega, "ulimit -v");
  Expect(1740800000 - 1024 * kMega, "ulimit -v", /*processes=*/4);
  WriteUlimits("unlimited", "812000000", 1'000'000);
  Expect(812 * kMega - 512 * kMega, "ulimit -d");
  WriteUlimits("1024000000", "unlimited", 1'000'000);
  Expect(0, "ulimit -v");
  WriteUlimits("unlimited", "unlimited", 1'000'000);
  Expect(8'000'000 * int64_t{1024}, "free memory of the machine");
}

TEST_F(MemoryRoomTest, AMachineThatPromisesNoMoreThanItHas) {
  Write("proc/meminfo", "MemAvailable: 9000 kB\nCommitLimit: 8000 kB\nCommitted_AS: 6000 kB\n");
  Write("proc/sys/vm/overcommit_memory", "0\n");
  Expect(9000 * 1024, "free memory of the machine");
  Write("proc/sys/vm/overcommit_memory", "2\n");
  Expect(2000 * 1024, "commit limit of the machine");
}

// The least of all wins, whatever it is.
TEST_F(MemoryRoomTest, TheLeastOfAll) {
  Write("proc/self/cgroup", "0::/\n");
  WriteGroup("sys/fs/cgroup", std::to_string(900 * kMega), 300 * kMega);
  WriteUlimits("1524000000", "unlimited", 1'000'000);
  Expect(500 * kMega, "ulimit -v");
  Expect(300 * kMega, "cgroup memory.max", /*processes=*/2);
}

// The real tree of this process.
TEST_F(MemoryRoomTest, ThisProcessHasRoom) {
  const MemoryRoom room = HostMemoryRoom(1);
  EXPECT_GT(room.bytes, 0);
  EXPECT_NE(room.limit, "no limit");
}

}  // namespace
}  // namespace cogwheel
