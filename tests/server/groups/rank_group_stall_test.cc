// The frontend's own stalls: its ranks were not silent, it did not listen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/groups/rank_group_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class RankGroupStallTest : public RankGroupTest {
 protected:
  // Nothing happens on the dispatcher's thread, not even a tick.
  void Stall(seconds time) { clock_.Advance(time); }
};

// Stopped for 22 s, each time: the ranks heard nothing for 15 s and left, and their handing back
// was lost with their connections. Three of these used to fail a healthy job.
TEST_F(RankGroupStallTest, RanksThatLeaveAfterAStallChargeNoJob) {
  for (int round = 0; round < 3; ++round) {
    Form();
    Start();
    Stall(seconds(22));
    groups_.OnGone(1);
    EXPECT_THAT(recorder_.told, ElementsAre("lost"));
    groups_.OnGone(2);
  }
}

TEST_F(RankGroupStallTest, NorDoThoseThatFailForIt) {
  Form();
  Start();
  Stall(seconds(22));
  Broken(2, 14, "rank 1 closed its connection");
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
}

TEST_F(RankGroupStallTest, SilenceAndLimitsBeginAnewAfterAStall) {
  Form();
  Run();
  Answer(1, 0);
  for (int second = 0; second < 50; ++second) {  // of the 60 for an answer
    Beat(1);
    Beat(2);
    Pass(seconds(1));
  }
  Stall(seconds(100));
  groups_.Tick();
  EXPECT_THAT(recorder_.told, IsEmpty());
  EXPECT_EQ(v1::RANK_BUSY, Board().ranks(0).state());
  for (int second = 0; second < 9; ++second) {
    Beat(1);
    Beat(2);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, IsEmpty());
  Answer(2, 0);
  EXPECT_THAT(recorder_.told, ElementsAre("started"));
}

// Whatever the dispatcher's thread sees first.
TEST_F(RankGroupStallTest, AStallIsNoticedByWhateverComesFirst) {
  Form();
  Stall(seconds(20));
  Beat(1);
  Pass(seconds(1));
  EXPECT_THAT(recorder_.told, IsEmpty()) << "rank 2 has 15 s, as if nothing had been";
  Stall(seconds(20));
  const auto waiting = std::make_shared<FakeLink>();
  groups_.OnJoin(9, waiting);
  groups_.Tick();
  EXPECT_THAT(recorder_.told, IsEmpty());
  Stall(seconds(20));
  groups_.Tick();
  EXPECT_FALSE(waiting->closed.has_value()) << "it had no 10 s to say Hello in";
}

TEST_F(RankGroupStallTest, AWhileAfterAStallLossesAreTheJobsAgain) {
  Form();
  Start();
  Stall(seconds(6));
  for (int second = 0; second < 31; ++second) {
    Beat(1);
    Beat(2);
    Pass(seconds(1));
  }
  groups_.OnGone(1);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
}

TEST_F(RankGroupStallTest, AShortPauseIsNoStall) {
  Form();
  Start();
  Stall(seconds(4));
  groups_.OnGone(1);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
}

// Its ranks start anew while it stands still; the new ones may be seen before the old ones are
// missed.
TEST_F(RankGroupStallTest, AfterAStallANewProcessTakesTheOldOnesPlace) {
  internal::v1::Hello old = MakeHello("b", 0), next = MakeHello("b", 0);
  old.set_pid(1);
  next.set_pid(2);
  Join(1, old);
  Stall(seconds(20));
  EXPECT_FALSE(Join(2, next)->closed.has_value());
}

}  // namespace
}  // namespace cogwheel
