#include "worker/launch/launcher.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <gtest/gtest.h>

#include "worker/launch/memory_kills.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartBudgetTest, AllowsSoManyWithinAWindow) {
  RestartBudget budget({.max_restarts = 2, .window = seconds(10)});
  const RestartBudget::TimePoint start{};
  EXPECT_TRUE(budget.Take(start));
  EXPECT_TRUE(budget.Take(start + seconds(9)));
  EXPECT_FALSE(budget.Take(start + milliseconds(9'999)));
  EXPECT_TRUE(budget.Take(start + seconds(10)));  // the first is out of the window
  EXPECT_FALSE(budget.Take(start + seconds(18)));
  EXPECT_TRUE(budget.Take(start + seconds(19)));
}

// A fault that lasts 10 s is behind the launcher before its restarts are.
TEST(RestartBudgetTest, TheFirstIsAtOnceAndEachFurtherOneWaitsTwiceAsLong) {
  RestartBudget budget({.max_restarts = 8, .window = seconds(600)});
  RestartBudget::TimePoint now{};
  std::vector<int64_t> pauses;
  for (auto pause = budget.Take(now); pause.has_value(); pause = budget.Take(now)) {
    pauses.push_back(*pause / seconds(1));
    now += *pause;
  }
  EXPECT_EQ(pauses, (std::vector<int64_t>{0, 1, 2, 4, 8, 16, 30, 30}));
  EXPECT_EQ(budget.Take(now + seconds(600)), milliseconds(0));  // long after: the first again
}

// Ranks are shell scripts: $1 is the local rank.
class LauncherTest : public testing::Test {
 protected:
  int Run(const std::string& script, int rank_count = 2) {
    LauncherOptions options{.argv = {"/bin/sh", "-c", script},
                            .rank_count = rank_count,
                            .restarts = {.max_restarts = 2, .pause = milliseconds(10)},
                            .stop_grace = milliseconds(300)};
    Launcher launcher(options, signals_, clock_,
                      [this](const std::string& line) { lines_.push_back(line); });
    return launcher.Run();
  }

  StopSignals signals_;
  const SystemClock clock_;
  std::vector<std::string> lines_;
};

TEST_F(LauncherTest, ARefusalIsNotTriedAgain) {
  EXPECT_EQ(Run("[ $1 = 1 ] && exit 2; exec sleep 60"), 2);
  EXPECT_TRUE(lines_.empty());
}

TEST_F(LauncherTest, IdleThreadsOfRanksBlockUnlessTheUserWillsOtherwise) {
  unsetenv("OMP_WAIT_POLICY");
  EXPECT_EQ(Run("[ \"$OMP_WAIT_POLICY\" = PASSIVE ] || exit 2"), 0);
  setenv("OMP_WAIT_POLICY", "ACTIVE", /*replace=*/1);
  EXPECT_EQ(Run("[ \"$OMP_WAIT_POLICY\" = ACTIVE ] || exit 2"), 0);
  unsetenv("OMP_WAIT_POLICY");
}

TEST_F(LauncherTest, ALostGroupIsStartedAgainUntilTheBudgetIsUsed) {
  const auto log =
      std::filesystem::temp_directory_path() / ("cogwheel-launcher-" + std::to_string(getpid()));
  EXPECT_EQ(Run("echo $1 >> " + log.string() + "; [ $1 = 0 ] && exit 75; exec sleep 60"), 75);
  std::ifstream file(log);
  int starts_of_rank_0 = 0;
  for (std::string line; std::getline(file, line);) starts_of_rank_0 += line == "0";
  EXPECT_EQ(starts_of_rank_0, 3);  // once, and two restarts
  std::filesystem::remove(log);
}

// A frontend that restarts often is no failure of the ranks.
TEST_F(LauncherTest, RanksThatLostTheFrontendAreStartedAgainUncounted) {
  const auto log =
      std::filesystem::temp_directory_path() / ("cogwheel-uncounted-" + std::to_string(getpid()));
  EXPECT_EQ(Run("echo x >> " + log.string() + "; [ $(wc -l < " + log.string() +
                    ") -gt 6 ] && exit 0; exit 69",
                /*rank_count=*/1),
            0);
  std::ifstream file(log);
  int starts = 0;
  for (std::string line; std::getline(file, line);) ++starts;
  EXPECT_EQ(starts, 7);  // a budget of 2 restarts
  std::filesystem::remove(log);
}

// One word a minute that the frontend is away is enough, whichever process says it; a rank that
// reached it, ready or not, begins a new tale.
TEST_F(LauncherTest, RanksHearWhetherTheirPredecessorsMissedTheFrontendAMomentAgo) {
  const std::string log = testing::TempDir() + "missed-" + std::to_string(getpid());
  const std::string starts = "$(wc -l < " + log + ")";
  EXPECT_EQ(Run("echo $2 >> " + log + "; [ " + starts + " = 3 ] && exit 69; [ " + starts +
                    " = 5 ] && exit 0; exit 68",
                /*rank_count=*/1),
            0);
  std::ifstream file(log);
  std::string told;
  for (std::string line; std::getline(file, line);) told += line + ";";
  EXPECT_EQ(told, ";--frontend-missed;--frontend-missed;;--frontend-missed;");
  std::filesystem::remove(log);
}

TEST_F(LauncherTest, ARankIsNamedAndExecutedApart) {
  LauncherOptions options{.argv = {"overwritten", "-c",
                                   "[ \"$0 $1\" = '--local-rank 0' ] && "
                                   "grep -q '^its name 0' /proc/$$/cmdline || "
                                   "exit 2"},
                          .program = "/bin/sh",
                          .name = [](int k) { return "its name " + std::to_string(k); },
                          .rank_count = 1};
  EXPECT_EQ(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 0);
}

// A stopped rank takes no signal but SIGKILL.
TEST_F(LauncherTest, AStoppedRankIsKilledAfterTheGrace) {
  const auto begin = clock_.Now();
  EXPECT_EQ(Run("[ $1 = 0 ] && exit 75; kill -STOP $$"), 75);
  EXPECT_LT(clock_.Now() - begin, seconds(5));  // three times 300 ms and the starts
}

// With no other rank to leave, nothing but the launcher can end it.
TEST_F(LauncherTest, ARankStoppedForLongIsKilledOneStoppedForAMomentIsNot) {
  LauncherOptions options{.argv = {"/bin/sh", "-c", "kill -STOP $$; exit 0"},
                          .rank_count = 1,
                          .restarts = {.max_restarts = 0},
                          .stopped_limit = milliseconds(300)};
  const auto begin = clock_.Now();
  EXPECT_EQ(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 128 + SIGKILL);
  EXPECT_GE(clock_.Now() - begin, milliseconds(300));
  options.argv.back() = "(sleep 0.1; kill -CONT $$) & kill -STOP $$; exit 0";
  options.stopped_limit = seconds(20);
  EXPECT_EQ(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 0);
  EXPECT_LT(clock_.Now() - begin, seconds(5));
}

// What is said of the model reaches the ranks, anew at each start.
TEST_F(LauncherTest, ItIsDescribedBeforeEachStart) {
  int described = 0;
  LauncherOptions options{
      .argv = {"/bin/sh", "-c", "[ \"$2 $3\" = '--model 3' ] && exit 0; exit 75"},
      .describe = [&described]() -> absl::StatusOr<std::vector<std::string>> {
        return std::vector<std::string>{"--model", std::to_string(++described)};
      },
      .restarts = {.pause = milliseconds(10)}};
  EXPECT_EQ(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 0);
  EXPECT_EQ(described, 3);
}

TEST_F(LauncherTest, ADescriptionThatFailsIsTriedAgainOrRefuses) {
  const std::string started = testing::TempDir() + "described-" + std::to_string(getpid());
  std::vector<absl::Status> failures = {absl::UnavailableError("the disk failed"),
                                        absl::UnavailableError("again"), absl::OkStatus()};
  size_t described = 0;
  LauncherOptions options{.argv = {"/bin/sh", "-c", "echo >> " + started + "; exit 0"},
                          .describe = [&]() -> absl::StatusOr<std::vector<std::string>> {
                            const absl::Status& next = failures.at(described++);
                            if (!next.ok()) return next;
                            return std::vector<std::string>();
                          },
                          .restarts = {.max_restarts = 2, .pause = milliseconds(10)}};
  const auto run = [&] {
    described = 0;
    return Launcher(options, signals_, clock_, [](const std::string&) {}).Run();
  };
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(described, 3);
  failures = {absl::UnavailableError("1"), absl::UnavailableError("2"),
              absl::UnavailableError("3")};
  EXPECT_EQ(run(), 75);  // the budget is used up
  failures = {absl::ResourceExhaustedError("no memory"), absl::InternalError("2"),
              absl::OkStatus()};
  EXPECT_EQ(run(), 0);
  failures = {absl::UnavailableError("1"), absl::InvalidArgumentError("the file is damaged")};
  EXPECT_EQ(run(), 2);
  failures = {absl::FailedPreconditionError("no weights for this device")};
  EXPECT_EQ(run(), 2);
  std::ifstream file(started);
  int starts = 0;
  for (std::string line; std::getline(file, line);) ++starts;
  EXPECT_EQ(starts, 2);
  std::filesystem::remove(started);
}

TEST_F(LauncherTest, AStopWhileTheModelIsDescribedStartsNoRank) {
  LauncherOptions options{.argv = {"/no/such/program"}, .restarts = {.max_restarts = 0}};
  EXPECT_NE(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 0);
  options.describe = []() -> absl::StatusOr<std::vector<std::string>> {
    kill(getpid(), SIGTERM);  // blocked: it waits to be counted
    return std::vector<std::string>();
  };
  EXPECT_EQ(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 0);
}

TEST_F(LauncherTest, AStopEndsAPauseBetweenStarts) {
  LauncherOptions options{.argv = {"/bin/sh", "-c", "exit 0"},
                          .restarts = {.pause = seconds(60), .longest_pause = seconds(60)}};
  int described = 0;
  options.describe = [&described]() -> absl::StatusOr<std::vector<std::string>> {
    if (++described == 2) kill(getpid(), SIGTERM);  // blocked: it waits to be counted
    return absl::UnavailableError("the disk failed");
  };
  const auto begin = clock_.Now();
  EXPECT_EQ(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 0);
  EXPECT_EQ(described, 2);
  EXPECT_LT(clock_.Now() - begin, seconds(20));
}

// A control group whose count of kills the script raises, and what rank 1 is started with.
class KilledForMemoryTest : public LauncherTest {
 protected:
  KilledForMemoryTest() {
    std::filesystem::create_directories(root_ + "/proc/self");
    std::filesystem::create_directories(root_ + "/sys/fs/cgroup/pod/ranks");
    Write("/proc/self/cgroup", "0::/pod/ranks\n");
    Write(kEvents, "low 0\noom 3\noom_kill 2\n");
  }
  ~KilledForMemoryTest() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::ofstream(root_ + path) << text;
  }
  // `first`: what rank 1 does at its first start. The words behind --local-rank 1 at its second.
  std::string SecondStart(const std::string& first) {
    const std::string seen = root_ + "/seen", events = root_ + kEvents;
    LauncherOptions options{.argv = {"/bin/sh", "-c",
                                     "[ $1 = 1 ] || exec sleep 60; events=" + events +
                                         "; if [ -e " + seen + " ]; then echo \"$2 $3\" > " + seen +
                                         "; exit 0; fi; touch " + seen + "; " + first},
                            .rank_count = 2,
                            .restarts = {.pause = milliseconds(10)},
                            .stop_grace = milliseconds(300),
                            .root = root_};
    EXPECT_EQ(Launcher(options, signals_, clock_, [](const std::string&) {}).Run(), 0);
    std::ifstream file(seen);
    std::string words;
    std::getline(file, words);
    return words;
  }
  static constexpr char kEvents[] = "/sys/fs/cgroup/pod/ranks/memory.events";
  const std::string root_ = testing::TempDir() + "killed-" + std::to_string(getpid());
};

TEST_F(KilledForMemoryTest, TheNextProcessOfThePlaceIsTold) {
  EXPECT_EQ(SecondStart("echo 'oom_kill 3' > $events; kill -KILL $$"),
            std::string(kReplacesKilledForMemory) + " yes");
}

TEST_F(KilledForMemoryTest, NotForOtherDeaths) {
  EXPECT_EQ(SecondStart("kill -KILL $$"), " ");  // by somebody
  std::filesystem::remove(root_ + "/seen");
  EXPECT_EQ(SecondStart("echo 'oom_kill 3' > $events; exit 75"),
            " ");  // another process was killed
  std::filesystem::remove(root_ + "/seen");
  Write(kEvents, "oom_kill 2\n");
  EXPECT_EQ(SecondStart("echo 'oom_kill 3' > $events; kill -TERM $$"), " ");
}

TEST_F(KilledForMemoryTest, OnlyARiseOfTheLastSecondsCounts) {
  const std::chrono::steady_clock::time_point start{};
  MemoryKillWatch watch(root_);
  watch.Poll(start);
  EXPECT_FALSE(watch.RoseSince(start));  // what was counted before
  Write(kEvents, "oom_kill 3\n");        // another process of the pod
  watch.Poll(start + seconds(100));
  watch.Poll(start + seconds(7000));
  EXPECT_TRUE(watch.RoseSince(start + seconds(99)));
  EXPECT_FALSE(watch.RoseSince(start + seconds(6995)));
  Write(kEvents, "oom_kill 4\n");
  watch.Poll(start + seconds(7001));
  EXPECT_TRUE(watch.RoseSince(start + seconds(6996)));
}

TEST_F(KilledForMemoryTest, EveryKernelIsAsked) {
  EXPECT_EQ(MemoryKills(root_), 2);
  std::filesystem::remove(root_ + kEvents);
  EXPECT_EQ(MemoryKills(root_), std::nullopt);
  Write("/proc/vmstat", "pgfault 77\noom_kill 9\n");
  EXPECT_EQ(MemoryKills(root_), 9);
  Write("/sys/fs/cgroup/memory.events", "oom_kill 5\n");  // a container's: its top alone is there
  EXPECT_EQ(MemoryKills(root_), 5);
  Write("/proc/self/cgroup", "4:cpu,memory:/pod\n1:name=systemd:/x\n");
  EXPECT_EQ(MemoryKills(root_), 9);
  std::filesystem::create_directories(root_ + "/sys/fs/cgroup/memory/pod");
  Write("/sys/fs/cgroup/memory/pod/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
  EXPECT_EQ(MemoryKills(root_), 4);
}

TEST_F(LauncherTest, RanksSentAwayEndItWithoutError) { EXPECT_EQ(Run("exit 0"), 0); }

// One ready line, when all ranks are ready; then a stop passes on and ends with 0.
TEST_F(LauncherTest, TellsWhenAllAreReadyAndDrains) {
  LauncherOptions options{
      .argv = {"/bin/sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"},
      .rank_count = 2};
  Launcher launcher(options, signals_, clock_, [&](const std::string& line) {
    lines_.push_back(line);
    kill(getpid(), SIGTERM);
  });
  EXPECT_EQ(launcher.Run(), 0);
  EXPECT_EQ(lines_, std::vector<std::string>{R"({"ready":true,"listen":"","admin":""})"});
}

// The second signal reaches the ranks as another one than the first, and gives them time.
TEST_F(LauncherTest, ASecondSignalLetsRanksHandTheirJobBack) {
  LauncherOptions options{
      .argv = {"/bin/sh", "-c",
               "trap '' TERM; trap 'sleep 0.3; exit 0' INT; echo ready; while :; do sleep 0.05; "
               "done"},
      .rank_count = 2};
  Launcher launcher(options, signals_, clock_, [&](const std::string&) {
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
  });
  const auto begin = clock_.Now();
  EXPECT_EQ(launcher.Run(), 0);
  EXPECT_GE(clock_.Now() - begin, milliseconds(300));
  EXPECT_LT(clock_.Now() - begin, seconds(5));
}

// The job does not fit the grace: it is handed back, as after a second signal.
TEST_F(LauncherTest, TheEndOfTheGraceLetsRanksHandTheirJobBack) {
  const std::string handed = testing::TempDir() + "handed-" + std::to_string(getpid());
  LauncherOptions options{.argv = {"/bin/sh", "-c",
                                   "trap '' TERM; trap 'echo > " + handed +
                                       "; exit 0' INT; echo ready; while :; do sleep 0.05; done"},
                          .rank_count = 1,
                          .drain_limit = milliseconds(300)};
  Launcher launcher(options, signals_, clock_,
                    [&](const std::string&) { kill(getpid(), SIGTERM); });
  const auto begin = clock_.Now();
  EXPECT_EQ(launcher.Run(), 0);
  EXPECT_GE(clock_.Now() - begin, milliseconds(300));
  EXPECT_LT(clock_.Now() - begin, seconds(5));
  EXPECT_EQ(std::remove(handed.c_str()), 0) << "no rank was told";
}

// Nobody waits an hour for a job that a stopped rank will not end.
TEST_F(LauncherTest, ARankStoppedForLongIsKilledWhileDrainingToo) {
  LauncherOptions options{
      .argv = {"/bin/sh", "-c",
               "trap 'kill -STOP $$' TERM; echo ready; while :; do sleep 0.05; done"},
      .rank_count = 1,
      .stopped_limit = milliseconds(300),
      .drain_limit = seconds(5)};
  Launcher launcher(options, signals_, clock_,
                    [&](const std::string&) { kill(getpid(), SIGTERM); });
  const auto begin = clock_.Now();
  EXPECT_EQ(launcher.Run(), 0);
  EXPECT_LT(clock_.Now() - begin, seconds(5));
}

TEST_F(LauncherTest, RanksThatIgnoreTheSecondSignalAreKilled) {
  LauncherOptions options{.argv = {"/bin/sh", "-c", "trap '' TERM INT; echo ready; exec sleep 60"},
                          .rank_count = 1,
                          .hand_back_limit = milliseconds(300)};
  Launcher launcher(options, signals_, clock_, [&](const std::string&) {
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
  });
  const auto begin = clock_.Now();
  EXPECT_EQ(launcher.Run(), 0);
  EXPECT_LT(clock_.Now() - begin, seconds(10));
}

}  // namespace
}  // namespace cogwheel
