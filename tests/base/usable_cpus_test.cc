// Files as Linux writes them, in a folder in place of /.
#include "base/usable_cpus.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <sched.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/control_groups.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

class UsableCpusTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ =
        fs::temp_directory_path() / ("cogwheel-cpus-" + std::to_string(getpid()) + "-" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::optional<int> Quota() const { return CpuQuota(root_.string()); }
  fs::path root_;
};

TEST_F(UsableCpusTest, AQuotaIsRoundedUpToWholeCpus) {
  EXPECT_EQ(QuotaCpus("200000", "100000"), 2);
  EXPECT_EQ(QuotaCpus("200001\n", "100000\n"), 3);
  EXPECT_EQ(QuotaCpus("50000", "100000"), 1);
  EXPECT_EQ(QuotaCpus("1000", "1000000"), 1);
  EXPECT_EQ(QuotaCpus("9223372036854775807", "1"), 2147483647);
}

TEST_F(UsableCpusTest, WhatIsNoQuotaLimitsNothing) {
  EXPECT_EQ(QuotaCpus("max", "100000"), std::nullopt);
  EXPECT_EQ(QuotaCpus("-1", "100000"), std::nullopt);
  EXPECT_EQ(QuotaCpus("0", "100000"), std::nullopt);
  EXPECT_EQ(QuotaCpus("200000", "0"), std::nullopt);
  EXPECT_EQ(QuotaCpus("", ""), std::nullopt);
}

TEST_F(UsableCpusTest, FindsTheGroupOfEachVersion) {
  const std::string hybrid =
      "12:pids:/docker/a\n"
      "4:cpu,cpuacct:/docker/b\n"
      "3:cpuset:/docker/c\n"
      "1:name=systemd:/docker/d:e\n"
      "0::/system.slice/f.service\n";
  EXPECT_EQ(GroupPath(hybrid, "cpu"), "/docker/b");
  EXPECT_EQ(GroupPath(hybrid, ""), "/system.slice/f.service");
  EXPECT_EQ(GroupPath(hybrid, "name=systemd"), "/docker/d:e");
  EXPECT_EQ(GroupPath("0::/\n", "cpu"), std::nullopt);
  EXPECT_EQ(GroupPath("3:cpuset:/c\nno line\n", ""), std::nullopt);
}

// A container with a namespace of its own: `docker run --cpus 2`, a pod with a limit.
TEST_F(UsableCpusTest, Version2InAContainer) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(Quota(), 2);
}

// A service on the host, or a pod as its node sees it: the least on the way up counts.
TEST_F(UsableCpusTest, Version2TakesTheLeastOfNestedLimits) {
  Write("proc/self/cgroup", "0::/kubepods.slice/pod1.slice/container\n");
  Write("sys/fs/cgroup/kubepods.slice/cpu.max", "6400000 100000\n");
  Write("sys/fs/cgroup/kubepods.slice/pod1.slice/cpu.max", "350000 100000\n");
  Write("sys/fs/cgroup/kubepods.slice/pod1.slice/container/cpu.max", "max 100000\n");
  EXPECT_EQ(Quota(), 4);
  Write("sys/fs/cgroup/kubepods.slice/pod1.slice/container/cpu.max", "50000 100000\n");
  EXPECT_EQ(Quota(), 1);
  Write("sys/fs/cgroup/kubepods.slice/pod2.slice/cpu.max", "10000 100000\n");
  Write("sys/fs/cgroup/kubepods.slice/pod1.slice/container/cpu.max", "max 100000\n");
  EXPECT_EQ(Quota(), 4);  // a neighbour's is not ours
}

TEST_F(UsableCpusTest, Version2WithoutALimit) {
  Write("proc/self/cgroup", "0::/user.slice/session-1.scope\n");
  Write("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(UsableCpusTest, Version1) {
  Write("proc/self/cgroup", "5:cpu,cpuacct:/docker/0a1b\n2:memory:/docker/0a1b\n");
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota(), std::nullopt);
  Write("sys/fs/cgroup/cpu,cpuacct/docker/0a1b/cpu.cfs_quota_us", "150000\n");
  Write("sys/fs/cgroup/cpu,cpuacct/docker/0a1b/cpu.cfs_period_us", "50000\n");
  EXPECT_EQ(Quota(), 3);
}

// The path is the host's, the mount holds the container's own group as its top.
TEST_F(UsableCpusTest, Version1InAContainerWithTheHostsPath) {
  Write("proc/self/cgroup", "3:cpu:/docker/0a1b\n0::/docker/0a1b\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
  Write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Quota(), 3);
}

TEST_F(UsableCpusTest, MissingAndDamagedFilesLimitNothing) {
  EXPECT_EQ(Quota(), std::nullopt);
  Write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(Quota(), std::nullopt);
  Write("sys/fs/cgroup/cpu.max", "many\n");
  EXPECT_EQ(Quota(), std::nullopt);
  Write("sys/fs/cgroup/cpu.max", "");
  EXPECT_EQ(Quota(), std::nullopt);
}

TEST_F(UsableCpusTest, CountsTheCpusOfTheAffinityMask) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(UsableCpus(), 1);
  EXPECT_LE(UsableCpus(), CPU_COUNT(&before));
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(UsableCpus(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace cogwheel
