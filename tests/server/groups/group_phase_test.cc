#include "server/groups/group_phase.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using Phase = GroupPhase;

// By the first letters of their names.
TEST(GroupPhase, TransitionsAreThoseOfTheTable) {
  const std::vector<Phase> phases = {Phase::kGathering, Phase::kNumbering, Phase::kForming,
                                     Phase::kIdle,      Phase::kOffered,   Phase::kRunning};
  const std::map<Phase, std::string> legal = {{Phase::kGathering, "n"}, {Phase::kNumbering, "gf"},
                                              {Phase::kForming, "gi"},  {Phase::kIdle, "go"},
                                              {Phase::kOffered, "gir"}, {Phase::kRunning, "gi"}};
  for (const Phase from : phases) {
    for (const Phase to : phases) {
      const bool expected = legal.at(from).find(GroupPhaseName(to)[0]) != std::string::npos;
      EXPECT_EQ(expected, IsLegalTransition(from, to))
          << GroupPhaseName(from) << " -> " << GroupPhaseName(to);
    }
  }
}

TEST(GroupPhase, AGroupThatHasFormedHasAnEpoch) {
  EXPECT_FALSE(HasEpoch(Phase::kNumbering));
  EXPECT_TRUE(HasEpoch(Phase::kForming));
  EXPECT_FALSE(HasFormed(Phase::kForming));
  EXPECT_TRUE(HasFormed(Phase::kIdle));
}

}  // namespace
}  // namespace cogwheel
