#include "worker/rank/watchdog.h"

#include <future>

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "worker/comm/mailbox/local_communicator.h"
#include "worker/rank/exit_code.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Polls by hand, in a time that the test moves. The side thread is real.
class WatchdogTest : public testing::Test {
 protected:
  WatchdogTest() {
    auto world = MakeLocalWorld(2, seconds(100));
    mine_ = std::move(world[0]);
    peer_ = std::move(world[1]);
    watchdog_.Guard(AbortMine());
    watchdog_.BeginJob({.frames = 9});
  }
  Watchdog::AbortWorld AbortMine() const {
    return [world = mine_](const std::string& why) { world->Abort(why); };
  }
  void Pass(milliseconds time) {
    clock_.Advance(time);
    watchdog_.Poll();
  }
  void Enter(BlockKind kind) { watchdog_.recorder().EnterBlock(kind, clock_.Now()); }
  // A step that takes 1 s, so that the next may take 10.
  void KnowSteps() {
    Enter(BlockKind::kStep);
    clock_.Advance(seconds(1));
    Enter(BlockKind::kStep);
  }
  // The peer that waits for this rank is woken with the abort's reason.
  std::string PeersError() {
    std::byte byte{};
    const RecvPiece piece{.peer = 0, .data = {&byte, 1}};
    try {
      Exchange(*peer_, {}, {&piece, 1}, nullptr);
    } catch (const CommError& error) {
      return error.what();
    }
    return "";
  }

  FakeClock clock_;
  std::promise<std::string> reported_;
  std::vector<int> exits_, told_stops_;
  int stops_ = 0;
  Watchdog watchdog_{{.clock = clock_,
                      .first_limit = seconds(60),
                      .report = [this](const std::string& fault) { reported_.set_value(fault); },
                      .count_stops = [this] { return stops_; },
                      .on_stop = [this](int stops) { told_stops_.push_back(stops); },
                      .exit = [this](int code) { exits_.push_back(code); }}};
  std::shared_ptr<Communicator> mine_;
  std::unique_ptr<Communicator> peer_;
};

TEST_F(WatchdogTest, AStepPastItsDeadlineIsReportedAbortedAndLeft) {
  KnowSteps();
  Pass(milliseconds(9'900));
  EXPECT_FALSE(watchdog_.leaving());
  Pass(milliseconds(100));
  EXPECT_TRUE(watchdog_.leaving());
  const std::string fault = reported_.get_future().get();
  EXPECT_EQ(fault, "block 2 (denoise) has taken 10.0 s, its limit is 10.0 s");
  EXPECT_EQ(PeersError(), fault);
  Pass(milliseconds(9'900));
  EXPECT_TRUE(exits_.empty());
  Pass(milliseconds(100));
  EXPECT_EQ(exits_, std::vector<int>{kExitInternal});
}

// The process ends in time even when telling the frontend hangs.
TEST_F(WatchdogTest, AReportThatHangsHoldsUpNothing) {
  std::promise<void> hold;
  Watchdog watchdog({.clock = clock_,
                     .first_limit = seconds(10),
                     .report =
                         [&, wait = hold.get_future().share()](const std::string&) {
                           wait.wait();
                           reported_.set_value("");
                         },
                     .exit = [this](int code) { exits_.push_back(code); }});
  watchdog.Guard(AbortMine());
  watchdog.recorder().EnterBlock(BlockKind::kStep, clock_.Now());
  clock_.Advance(seconds(10));
  watchdog.Poll();
  clock_.Advance(seconds(10));
  watchdog.Poll();
  EXPECT_EQ(exits_, std::vector<int>{kExitInternal});
  hold.set_value();
  reported_.get_future().wait();
}

TEST_F(WatchdogTest, NothingIsOwedBetweenJobsAndAfterProgress) {
  KnowSteps();
  for (int i = 0; i < 5; ++i) {
    Pass(seconds(9));
    Enter(BlockKind::kStep);
  }
  watchdog_.EndJob(/*finished=*/true);
  Pass(seconds(3600));
  EXPECT_FALSE(watchdog_.leaving());
}

// A cancel is agreed where a step would begin: nothing of it is done, so the next one is the first.
TEST_F(WatchdogTest, ABlockThatAJobWasLeftInTeachesNothing) {
  Enter(BlockKind::kStep);
  watchdog_.EndJob(/*finished=*/false);
  Enter(BlockKind::kStep);
  Pass(milliseconds(59'900));
  EXPECT_FALSE(watchdog_.leaving());
  Pass(milliseconds(100));
  EXPECT_TRUE(watchdog_.leaving());
  reported_.get_future().wait();
}

TEST_F(WatchdogTest, AnEpochThatIsOverAbortsAtOnce) {
  watchdog_.Leave("rank 3 was lost", kExitGroupLost, /*abort=*/true);
  EXPECT_EQ(PeersError(), "rank 3 was lost");
  Pass(milliseconds(9'900));
  EXPECT_TRUE(exits_.empty());
  Pass(milliseconds(100));
  EXPECT_EQ(exits_, std::vector<int>{kExitGroupLost});
}

TEST_F(WatchdogTest, ALostFrontendGivesTheJobHalfTheTimeToStop) {
  watchdog_.Leave("the frontend is gone", kExitFrontendLost, /*abort=*/false);
  Pass(milliseconds(4'900));
  const std::byte byte{};
  const SendPiece piece{.peer = 1, .data = {&byte, 1}};
  EXPECT_NO_THROW(Exchange(*mine_, {&piece, 1}, {}, nullptr));
  EXPECT_EQ(PeersError(), "");
  Pass(milliseconds(100));
  EXPECT_EQ(PeersError(), "the frontend is gone");
  Pass(milliseconds(5'000));
  EXPECT_EQ(exits_, std::vector<int>{kExitFrontendLost});
}

TEST_F(WatchdogTest, ARankThatStillLoadsLeavesSoon) {
  watchdog_.Guard(nullptr);
  watchdog_.Leave("the epoch is over", kExitGroupLost, /*abort=*/true);
  Pass(milliseconds(1'000));
  EXPECT_EQ(exits_, std::vector<int>{kExitGroupLost});
}

TEST_F(WatchdogTest, StopsAreToldAndTheSecondBoundsTheStay) {
  Pass(milliseconds(100));
  stops_ = 1;
  Pass(milliseconds(100));
  EXPECT_EQ(watchdog_.stops(), 1);
  Pass(seconds(3600));  // the running job may take its time
  EXPECT_FALSE(watchdog_.leaving());
  stops_ = 2;
  Pass(milliseconds(100));
  Pass(seconds(5));
  Pass(seconds(5));
  EXPECT_EQ(told_stops_, (std::vector<int>{1, 2}));
  EXPECT_EQ(exits_, std::vector<int>{kExitLeft});
}

}  // namespace
}  // namespace cogwheel
