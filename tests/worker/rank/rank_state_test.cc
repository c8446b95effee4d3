#include "worker/rank/rank_state.h"

#include <set>
#include <utility>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using enum RankState;

constexpr RankState kAll[] = {kWaiting, kJoining, kIdle, kPlanned, kRunning, kLeaving};

TEST(RankStateTest, TheTableAndNothingElse) {
  const std::set<std::pair<RankState, RankState>> legal = {
      {kWaiting, kJoining},  // a place in a group
      {kJoining, kIdle},     // loaded, and met the peers
      {kIdle, kPlanned},     // a job that this rank can run
      {kPlanned, kPlanned},  // another in its place
      {kPlanned, kIdle},     // dropped: another rank cannot run it
      {kPlanned, kRunning},  // all can
      {kRunning, kIdle},     // done, failed alone, cancelled or handed back
      // A process may have to leave at any time.
      {kWaiting, kLeaving},
      {kJoining, kLeaving},
      {kIdle, kLeaving},
      {kPlanned, kLeaving},
      {kRunning, kLeaving},
  };
  for (const RankState from : kAll) {
    for (const RankState to : kAll) {
      EXPECT_EQ(MayFollow(from, to), legal.contains({from, to}))
          << StateName(from) << " -> " << StateName(to);
    }
  }
}

TEST(RankStateTest, EachStateHasAName) {
  std::set<std::string_view> names;
  for (const RankState state : kAll) names.insert(StateName(state));
  EXPECT_EQ(names.size(), std::size(kAll));
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(RankLifeTest, GoesAlongTheTable) {
  RankLife life;
  EXPECT_EQ(life.state(), kWaiting);
  for (const RankState next : {kJoining, kIdle, kPlanned, kRunning, kIdle, kLeaving}) {
    life.Enter(next);
    EXPECT_EQ(life.state(), next);
  }
}

TEST(RankLifeDeathTest, AbortsBesideTheTableWithBothNames) {
  RankLife life;
  EXPECT_DEATH(life.Enter(kRunning), "waiting.*running");
  life.Enter(kLeaving);
  EXPECT_DEATH(life.Enter(kWaiting), "leaving.*waiting");
}

}  // namespace
}  // namespace cogwheel
