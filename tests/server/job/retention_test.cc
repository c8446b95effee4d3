#include "server/job/retention.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

TEST(Retention, NobodyLosesWhileThereIsRoom) {
  EXPECT_EQ(std::nullopt, WhoLoses({10}, {}));
  EXPECT_EQ(std::nullopt, WhoLoses({10}, {{"a", 10}}));
  EXPECT_EQ(std::nullopt, WhoLoses({10, {{"a", {6, 5}}, {"b", {6, 5}}}}, {{"a", 6}, {"b", 4}}));
}

TEST(Retention, WhoHasMoreThanItMayLosesFirst) {
  const KeepLimit limit = {100, {{"a", {5, 50}}, {"b", {50, 50}}}};
  EXPECT_EQ("a", WhoLoses(limit, {{"a", 6}, {"b", 1}}));
  EXPECT_EQ("a", WhoLoses(limit, {{"a", 6}, {"b", 50}, {"c", 99}}));
}

// B1. By shares: 30 of 75 is less than 20 of 25.
TEST(Retention, OverTheTotalTheOneFurthestOverItsShareLoses) {
  const KeepLimit limit = {100, {{"large", {100, 75}}, {"small", {100, 25}}}};
  EXPECT_EQ("small", WhoLoses(limit, {{"large", 75}, {"small", 26}}));
  EXPECT_EQ("large", WhoLoses(limit, {{"large", 76}, {"small", 25}}));
  EXPECT_EQ("small", WhoLoses(limit, {{"large", 60}, {"small", 41}}));
}

// Of whom the access file knows nothing, or no longer.
TEST(Retention, WhoHasNoShareLosesBeforeAll) {
  const KeepLimit limit = {10, {{"a", {20, 10}}}};
  EXPECT_EQ("former", WhoLoses(limit, {{"a", 10}, {"former", 1}}));
  EXPECT_EQ("older", WhoLoses(limit, {{"a", 9}, {"former", 1}, {"older", 2}, {"none", 0}}));
  EXPECT_EQ("a", WhoLoses(limit, {{"a", 11}, {"none", 0}}));
}

}  // namespace
}  // namespace cogwheel
