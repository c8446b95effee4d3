#include "base/child_process.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ChildOptions Shell(const std::string& script) {
  ChildOptions options;
  options.argv = {"/bin/sh", "-c", script};
  return options;
}

TEST(ChildProcess, ReadsLinesAndTheExitCode) {
  auto child = ChildProcess::Start(Shell("echo one; echo two; printf three; exit 7"));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ("one", child->ReadLine(seconds(10)).value());
  EXPECT_EQ("two", child->ReadLine(seconds(10)).value());
  EXPECT_TRUE(absl::IsUnavailable(child->ReadLine(seconds(10)).status()));
  EXPECT_EQ(7, child->Wait(seconds(10)));
  EXPECT_EQ(7, child->Wait(milliseconds(0)));
}

TEST(ChildProcess, AWaitHasALimit) {
  auto child = ChildProcess::Start(Shell("read line"));
  ASSERT_TRUE(child.ok());
  child->Wait(milliseconds(0));
  auto sleeper = ChildProcess::Start(Shell("exec sleep 60"));
  ASSERT_TRUE(sleeper.ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(sleeper->ReadLine(milliseconds(20)).status()));
  EXPECT_EQ(std::nullopt, sleeper->Wait(milliseconds(20)));
  EXPECT_EQ(128 + SIGTERM, sleeper->Stop(seconds(10)));
}

TEST(ChildProcess, StopKillsWhatIgnoresIt) {
  auto child = ChildProcess::Start(Shell("trap '' TERM; echo ready; exec sleep 60"));
  ASSERT_TRUE(child.ok());
  ASSERT_EQ("ready", child->ReadLine(seconds(10)).value());
  EXPECT_EQ(128 + SIGKILL, child->Stop(milliseconds(50)));
}

TEST(ChildProcess, SaysWhenThereIsNoSuchProgram) {
  ChildOptions options;
  options.argv = {"/no/such/program"};
  const auto child = ChildProcess::Start(options);
  EXPECT_TRUE(absl::IsNotFound(child.status())) << child.status();
}

TEST(ChildProcess, ChoosesEnvironmentAndLog) {
  setenv("COGWHEEL_TEST_LEAK", "leaked", 1);
  ChildOptions options = Shell("echo \"$COGWHEEL_TEST_LEAK,$ADDED,$HOME\"; echo noise >&2");
  options.drop_cogwheel_env = true;
  options.env = {{"ADDED", "yes"}, {"HOME", "changed"}};
  options.log_file = testing::TempDir() + "child_process_test-" + std::to_string(getpid());
  unlink(options.log_file.c_str());
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(",yes,changed", child->ReadLine(seconds(10)).value());
  EXPECT_EQ(0, child->Wait(seconds(10)));
  std::stringstream log;
  log << std::ifstream(options.log_file).rdbuf();
  EXPECT_EQ("noise\n", log.str());
  unsetenv("COGWHEEL_TEST_LEAK");
}

TEST(ChildProcess, TheDestructorLeavesNothing) {
  pid_t pid = 0;
  {
    auto child = ChildProcess::Start(Shell("exec sleep 60"));
    ASSERT_TRUE(child.ok());
    pid = child->pid();
    const ChildProcess moved = *std::move(child);
    EXPECT_EQ(pid, moved.pid());
  }
  EXPECT_EQ(-1, kill(pid, 0));
}

// A middle process starts a child and is killed: the child must go with it.
TEST(ChildProcess, DiesWithItsParent) {
  int report[2];
  ASSERT_EQ(0, pipe(report));
  const pid_t middle = fork();
  if (middle == 0) {
    auto child = ChildProcess::Start(Shell("exec sleep 60"));
    const pid_t pid = child.ok() ? child->pid() : -1;
    [[maybe_unused]] const ssize_t told = write(report[1], &pid, sizeof pid);
    pause();
  }
  pid_t grandchild = -1;
  ASSERT_EQ(sizeof grandchild, read(report[0], &grandchild, sizeof grandchild));
  ASSERT_GT(grandchild, 0);
  ASSERT_EQ(0, kill(grandchild, 0));
  kill(middle, SIGKILL);
  waitpid(middle, nullptr, 0);
  // The kernel's signal is on its way; the orphan is reaped by init or stays a zombie: ask /proc.
  const auto gone = [grandchild] {
    std::ifstream stat("/proc/" + std::to_string(grandchild) + "/stat");
    std::string pid, name, state;
    return !(stat >> pid >> name >> state) || state == "Z" || state == "X";
  };
  const auto limit = std::chrono::steady_clock::now() + seconds(10);
  while (!gone() && std::chrono::steady_clock::now() < limit) {
  }
  EXPECT_TRUE(gone());
  close(report[0]);
  close(report[1]);
}

}  // namespace
}  // namespace cogwheel
