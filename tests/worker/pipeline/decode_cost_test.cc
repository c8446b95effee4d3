#include "worker/pipeline/decode_cost.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// Of an operation of a decode against one of a step.
constexpr double kOnGpus = 1.5, kOnCores = 2.5;

TEST(DecodeCost, OneRankTakesOneChunkAfterTheOther) {
  EXPECT_DOUBLE_EQ(kOnGpus * (30 + 20 + 20) / 5,
                   DecodeInSteps({.parts = {30, 20, 20}, .takers = 1, .step = 5}));
}

TEST(DecodeCost, ARoundTakesAsLongAsItsLargestChunk) {
  EXPECT_DOUBLE_EQ(kOnGpus * (30 + 20) / 5,
                   DecodeInSteps({.parts = {30, 20, 20}, .takers = 2, .step = 5}));
  EXPECT_DOUBLE_EQ(kOnGpus * 30 / 5,
                   DecodeInSteps({.parts = {30, 20, 20}, .takers = 8, .step = 5}));
}

// 4 ranks of a thread on 2 cores: in a step each has half a core, in a round of 2 a whole one.
TEST(DecodeCost, RanksThatAreIdleLeaveTheirCoresToOthers) {
  const DecodeCost cost = {
      .parts = {30, 20}, .takers = 4, .step = 5, .cores = 2, .host_ranks = 4, .rank_threads = 1};
  EXPECT_DOUBLE_EQ(kOnCores * 30 / (5 / 0.5), DecodeInSteps(cost));
  DecodeCost full = cost;
  full.parts = {30, 20, 20, 20};
  EXPECT_DOUBLE_EQ(kOnCores * (30 / 0.5) / (5 / 0.5), DecodeInSteps(full));
  DecodeCost roomy = cost;  // a thread of each, whoever else is at work
  roomy.cores = 4;
  EXPECT_DOUBLE_EQ(kOnCores * 30 / 5, DecodeInSteps(roomy));
}

TEST(DecodeCost, NothingIsNothing) {
  EXPECT_EQ(0, DecodeInSteps({.parts = {}, .takers = 1, .step = 5}));
  EXPECT_EQ(0, DecodeInSteps({.parts = {30}, .takers = 1, .step = 0}));
}

}  // namespace
}  // namespace cogwheel
