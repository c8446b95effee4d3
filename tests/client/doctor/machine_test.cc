// Files as Linux writes them, in a folder in place of /, and what is said about them.
#include "client/doctor/machine.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kMib = 1 << 20, kGib = 1 << 30;

class MachineFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "machine_test_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  MachineState Read() const { return ReadMachine("/tmp", root_.string()); }
  fs::path root_;
};

TEST_F(MachineFilesTest, WhatIsNotThereIsNotKnown) {
  const MachineState machine = Read();
  EXPECT_EQ(machine.task_room, std::nullopt);
  EXPECT_EQ(machine.memory_limit_bytes, std::nullopt);
  EXPECT_EQ(machine.cpu_quota, std::nullopt);
  EXPECT_EQ(machine.port_count, std::nullopt);
  EXPECT_EQ(machine.gpu_driver, "");
  EXPECT_EQ(machine.shared_memory.bytes, 0);
  EXPECT_THAT(machine.cpu, HasSubstr("unknown model"));
}

TEST_F(MachineFilesTest, Facts) {
  Write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f\n\n");
  Write("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n");
  Write("etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian 12\"\n");
  Write("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
  Write("proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n");
  const MachineState machine = Read();
  EXPECT_EQ(machine.cpu, "Some CPU, avx2 avx512f");
  EXPECT_EQ(machine.memory_bytes, 16 * kMib);
  EXPECT_EQ(machine.available_bytes, 8 * kMib);
  EXPECT_THAT(machine.system, HasSubstr("Debian 12, Linux "));
  EXPECT_EQ(machine.port_count, 28232);
  EXPECT_EQ(machine.gpu_driver, "580.95.05");
}

// The least on the way up; a neighbour's limit is not ours.
TEST_F(MachineFilesTest, ControlGroupsOfVersion2) {
  Write("proc/self/cgroup", "0::/pods/pod1/c\n");
  Write("sys/fs/cgroup/pods/pod1/c/pids.max", "max\n");
  Write("sys/fs/cgroup/pods/pod1/pids.max", "100\n");
  Write("sys/fs/cgroup/pods/pod1/pids.current", "70\n");
  Write("sys/fs/cgroup/pods/pids.max", "4000\n");
  Write("sys/fs/cgroup/pods/pids.current", "3980\n");
  Write("sys/fs/cgroup/pods/pod2/pids.max", "5\n");
  Write("sys/fs/cgroup/pods/pod1/memory.max", "2147483648\n");
  Write("sys/fs/cgroup/pods/pod1/cpu.max", "150000 100000\n");
  const MachineState machine = Read();
  EXPECT_EQ(machine.task_room, 20);
  EXPECT_EQ(machine.memory_limit_bytes, 2 * kGib);
  EXPECT_EQ(machine.cpu_quota, 2);
}

TEST_F(MachineFilesTest, ControlGroupsOfVersion1) {
  Write("proc/self/cgroup", "5:pids:/docker/a\n4:memory:/docker/a\n0::/\n");
  Write("sys/fs/cgroup/pids/pids.max", "60\n");  // the container's own group is its top
  Write("sys/fs/cgroup/pids/pids.current", "10\n");
  Write("sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes", "1073741824\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  const MachineState machine = Read();
  EXPECT_EQ(machine.task_room, 50);
  EXPECT_EQ(machine.memory_limit_bytes, kGib);
}

MachineState Large() {
  return {.cpus = 64,
          .open_file_limit = 1024,
          .port_count = 28232,
          .shared_memory = {"/dev/shm", 64 * kGib, 32 * kGib},
          .temporary = {"/tmp", 100 * kGib, 50 * kGib}};
}

// The only finding of this level.
Finding Only(FindingLevel level, const MachineState& machine, const MachineNeeds& needs) {
  Findings found;
  for (const Finding& finding : CheckMachine(machine, needs)) {
    if (finding.level != FindingLevel::kOk) found.push_back(finding);
  }
  if (found.size() != 1 || found[0].level != level) {
    ADD_FAILURE() << found.size() << " findings beside those that are ok";
    return {};
  }
  return found[0];
}

TEST(CheckMachine, SaysNothingOfALargeOne) {
  for (const MachineNeeds& needs : {MachineNeeds{.ranks = 1}, MachineNeeds{.ranks = 16},
                                    MachineNeeds{.ranks = 8, .on_gpus = true}}) {
    for (const Finding& finding : CheckMachine(Large(), needs)) {
      EXPECT_EQ(finding.level, FindingLevel::kOk) << finding.check << ": " << finding.what;
    }
  }
}

TEST(CheckMachine, RanksThatShareCpus) {
  MachineState machine = Large();
  machine.cpu_quota = 2;
  const Finding quota = Only(FindingLevel::kWarning, machine, {.ranks = 4});
  EXPECT_EQ(quota.what, "2 CPUs (cgroup quota) for 4 ranks");
  EXPECT_THAT(quota.way_out, AllOf(HasSubstr("cpu.max"), HasSubstr("to 4 CPUs")));
  machine.cpu_quota = std::nullopt;
  machine.cpus = 3;
  EXPECT_EQ(Only(FindingLevel::kWarning, machine, {.ranks = 4}).what, "3 CPUs for 4 ranks");
}

TEST(CheckMachine, TooFewProcesses) {
  MachineState machine = Large();
  machine.task_room = 150;  // 28 + 14 + 2 * 64 are wanted
  const Finding group = Only(FindingLevel::kFault, machine, {});
  EXPECT_THAT(group.what, AllOf(HasSubstr("pids.max"), HasSubstr("150"), HasSubstr("170")));
  EXPECT_THAT(group.way_out, HasSubstr("raise it by 20"));
  machine.task_room = 170;
  machine.task_limit = 169;
  EXPECT_THAT(Only(FindingLevel::kFault, machine, {}).what, HasSubstr("ulimit -u is 169"));
  machine.task_limit = 170;
  EXPECT_EQ(CheckMachine(machine, {})[1].level, FindingLevel::kOk);
}

TEST(CheckMachine, TooFewFilesAndPorts) {
  MachineState machine = Large();
  machine.open_file_limit = 32;
  EXPECT_THAT(Only(FindingLevel::kFault, machine, {}).way_out, HasSubstr("ulimit -n 36"));
  machine = Large();
  machine.port_count = 25;
  const Finding ports = Only(FindingLevel::kFault, machine, {.ranks = 4});
  EXPECT_THAT(ports.what, AllOf(HasSubstr("holds 25 ports"), HasSubstr("4 ranks takes 26")));
}

TEST(CheckMachine, SharedMemoryMattersBetweenGpus) {
  MachineState machine = Large();
  machine.shared_memory = {"/dev/shm", 64 * kMib, 64 * kMib};  // a container's default
  const Finding small = Only(FindingLevel::kFault, machine, {.ranks = 4, .on_gpus = true});
  EXPECT_THAT(small.what, AllOf(HasSubstr("/dev/shm has 64.0 MiB free"), HasSubstr("1.0 GiB")));
  EXPECT_THAT(small.way_out, HasSubstr("--shm-size=1g"));
  EXPECT_EQ(CheckMachine(machine, {.ranks = 1, .on_gpus = true})[4].level, FindingLevel::kOk);
  EXPECT_EQ(CheckMachine(machine, {.ranks = 4})[4].level, FindingLevel::kOk);
  machine.shared_memory.free_bytes = 512 * kMib;
  Only(FindingLevel::kWarning, machine, {.ranks = 4, .on_gpus = true});
  machine.shared_memory = {.path = "/dev/shm"};
  EXPECT_THAT(Only(FindingLevel::kFault, machine, {.ranks = 2, .on_gpus = true}).what,
              HasSubstr("is not there"));
}

TEST(CheckMachine, ADiskThatIsNearlyFull) {
  MachineState machine = Large();
  machine.temporary.free_bytes = 63 * kMib;
  EXPECT_THAT(Only(FindingLevel::kFault, machine, {}).way_out, HasSubstr("TMPDIR"));
  machine.temporary.free_bytes = 65 * kMib;
  EXPECT_THAT(Only(FindingLevel::kWarning, machine, {}).what, HasSubstr("65.0 MiB free"));
  machine.temporary = {.path = "/nowhere"};
  EXPECT_THAT(Only(FindingLevel::kFault, machine, {}).what, HasSubstr("/nowhere"));
}

TEST(CheckMachine, AGpuThatWouldBeLeftAlone) {
  MachineState machine = Large();
  machine.gpu_driver = "580.95.05";
  EXPECT_THAT(Only(FindingLevel::kWarning, machine, {}).what, HasSubstr("580.95.05"));
  EXPECT_THAT(CheckMachine(machine, {.cpu_asked = true}).size(), 6);
  EXPECT_THAT(CheckMachine(machine, {.on_gpus = true}).size(), 6);
}

}  // namespace
}  // namespace cogwheel
