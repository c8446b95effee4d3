#include "worker/rank/watchdog.h"

#include <algorithm>
#include <future>
#include <memory>
#include <vector>

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
  // Steps that take 1 s, so that the next may take 10.
  void KnowSteps() {
    for (int i = 0; i < 3; ++i) {
      Enter(BlockKind::kStep);
      clock_.Advance(seconds(1));
    }
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
  EXPECT_EQ(fault, "block 4 (denoise) has taken 10.0 s, its limit is 10.0 s");
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

// Ranks that go through their work in a time that the test moves, polled every second of it.
class SlowRanksTest : public testing::Test {
 protected:
  static constexpr WorkUnit kLayer{.name = "layer"};

  struct Rank {
    explicit Rank(const Clock& clock)
        : watchdog({.clock = clock,
                    .report = [this](const std::string& fault) { reported.set_value(fault); },
                    .exit = [this](int code) { exits.push_back(code); }}) {
      watchdog.Guard([](const std::string&) {});
      watchdog.BeginJob({.frames = 49});
    }
    FlightRecorder& recorder() { return watchdog.recorder(); }

    std::promise<std::string> reported;
    std::vector<int> exits;
    Watchdog watchdog;
  };

  void Pass(seconds time) {
    for (seconds passed{0}; passed < time; ++passed) {
      clock_.Advance(seconds(1));
      for (const auto& rank : ranks_) rank->watchdog.Poll();
    }
  }
  Rank& Add() { return *ranks_.emplace_back(std::make_unique<Rank>(clock_)); }
  void Enter(Rank& rank, BlockKind kind) { rank.recorder().EnterBlock(kind, clock_.Now()); }
  void Begin(Rank& rank, const WorkUnit& unit) { rank.recorder().BeginUnit(unit, clock_.Now()); }
  void Wait(Rank& rank, seconds time) {
    rank.recorder().BeginWait(clock_.Now());
    Pass(time);
    rank.recorder().EndWait(clock_.Now());
  }
  bool Leaving() const {
    return std::ranges::any_of(ranks_, [](const auto& rank) { return rank->watchdog.leaving(); });
  }

  FakeClock clock_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

TEST_F(SlowRanksTest, AStepOfFortyMinutesInThirtyLayersIsLeftAlone) {
  Rank& rank = Add();
  for (int step = 0; step < 2; ++step) {
    Enter(rank, BlockKind::kStep);
    for (int layer = 0; layer < 30; ++layer) {
      Begin(rank, kLayer);
      Pass(seconds(80));
      ASSERT_FALSE(Leaving()) << "step " << step << ", layer " << layer;
    }
  }
  rank.watchdog.EndJob(/*finished=*/true);
  Pass(seconds(3600));
  EXPECT_FALSE(Leaving());
}

// Its layers take 2 s: found after 20, gone 10 s later.
TEST_F(SlowRanksTest, ARankThatStandsStillInALayerIsFoundInTheLayersLimit) {
  Rank& rank = Add();
  Enter(rank, BlockKind::kStep);
  for (int layer = 0; layer < 10; ++layer) {
    Begin(rank, kLayer);
    Pass(seconds(2));
  }
  Begin(rank, kLayer);
  Pass(seconds(19));
  EXPECT_FALSE(Leaving());
  Pass(seconds(1));
  EXPECT_EQ(rank.reported.get_future().get(),
            "layer in block 1 (denoise) has taken 20.0 s, its limit is 20.0 s");
  Pass(seconds(9));
  EXPECT_TRUE(rank.exits.empty());
  Pass(seconds(1));
  EXPECT_EQ(rank.exits, std::vector<int>{kExitInternal});
}

// Its first layer, of which nothing is known.
TEST_F(SlowRanksTest, ARankThatStandsStillAtOnceIsFoundInTheFirstLimit) {
  Rank& rank = Add();
  Enter(rank, BlockKind::kText);
  Begin(rank, {.name = "text layer"});
  Pass(seconds(599));
  EXPECT_FALSE(Leaving());
  Pass(seconds(1));
  EXPECT_TRUE(Leaving());
  rank.reported.get_future().wait();
}

// A guidance half of its own, five times as fast as the other: 30 layers, then a wait of 20 minutes
// for what the other predicts.
TEST_F(SlowRanksTest, ARankThatWaitsForASlowerOneIsLeftAlone) {
  Rank& fast = Add();
  Rank& slow = Add();
  for (int step = 0; step < 2; ++step) {
    Enter(fast, BlockKind::kStep);
    Enter(slow, BlockKind::kStep);
    for (int layer = 0; layer < 30; ++layer) {
      if (layer % 5 == 0) Begin(slow, kLayer);
      Begin(fast, kLayer);
      Pass(seconds(10));
    }
    fast.recorder().BeginWait(clock_.Now());
    for (int layer = 6; layer < 30; ++layer) {
      Begin(slow, kLayer);
      Pass(seconds(50));
    }
    fast.recorder().EndWait(clock_.Now());
    ASSERT_FALSE(Leaving()) << "step " << step;
  }
}

// One chunk, rank 0's, whose last convolutions take 32 times as long as its first; job after job.
TEST_F(SlowRanksTest, ADecodeWhoseConvolutionsGrowIsLeftAlone) {
  Rank& first = Add();
  Rank& idle = Add();
  for (int job = 0; job < 5; ++job) {
    Enter(first, BlockKind::kDecode);
    Enter(idle, BlockKind::kDecode);
    idle.recorder().BeginWait(clock_.Now());
    for (int convolution = 0; convolution < 12; ++convolution) {
      Begin(first, {.name = "convolution", .kind = convolution});
      Pass(seconds(5 << (convolution / 2)));
      ASSERT_FALSE(Leaving()) << "job " << job << ", convolution " << convolution;
    }
    idle.recorder().EndWait(clock_.Now());
    first.watchdog.EndJob(/*finished=*/true);
    idle.watchdog.EndJob(/*finished=*/true);
  }
}

// Exchanges are in the midst of a layer: what it waits does not count, what it works does.
TEST_F(SlowRanksTest, AUnitsWaitsAreNoWork) {
  Rank& rank = Add();
  Enter(rank, BlockKind::kStep);
  for (int layer = 0; layer < 3; ++layer) {
    Begin(rank, kLayer);
    Pass(seconds(1));
    Wait(rank, seconds(100));
    Pass(seconds(1));
  }
  Begin(rank, kLayer);
  Pass(seconds(1));
  Wait(rank, seconds(500));
  Pass(seconds(18));
  EXPECT_FALSE(Leaving());
  Pass(seconds(1));
  EXPECT_EQ(rank.reported.get_future().get(),
            "layer in block 1 (denoise) has taken 20.0 s, its limit is 20.0 s");
}

// World rank 0 encodes the prompt; what it promises lasts as long as a hang would stay unknown.
TEST_F(SlowRanksTest, TellsHowLongItMayStayInAUnit) {
  Rank& rank = Add();
  Enter(rank, BlockKind::kText);
  EXPECT_EQ(rank.recorder().LongestStay(), seconds(600 + 12));
  for (int layer = 0; layer < 4; ++layer) {
    Begin(rank, {.name = "text layer"});
    Pass(seconds(100));
  }
  EXPECT_EQ(rank.recorder().LongestStay(), seconds(1000 + 12));
  Begin(rank, {.name = "picture convolution", .kind = 7});
  EXPECT_EQ(rank.recorder().LongestStay(), seconds(600 + 12));
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
