#include "server/schedule/cost_model.h"

#include <string>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

v1::GenerateRequest Sized(int frames, int side, int steps, double guidance) {
  v1::GenerateRequest request;
  request.set_frames(frames);
  request.set_height(side);
  request.set_width(side);
  request.set_steps(steps);
  request.set_guidance_scale(guidance);
  request.set_max_sequence_length(26);
  return request;
}

JobSize Size(int frames, int side, int steps = 10, double guidance = 6) {
  return SizeOf(Sized(frames, side, steps, guidance));
}

SeenCosts Seen(const JobSize& size, const JobCosts& costs, double decode_in_steps = 0) {
  return {size.shape, costs, decode_in_steps};
}

TEST(CostModel, ReadsASizeFromARequest) {
  const JobSize small = Size(9, 32);
  EXPECT_EQ(26 + 3 * 2 * 2, small.shape.tokens());
  EXPECT_EQ(12, small.shape.video_tokens());
  EXPECT_EQ(10, small.steps);
  EXPECT_EQ(2, small.shape.branches);
  EXPECT_EQ(1, Size(9, 32, 10, /*guidance=*/1).shape.branches);
  v1::GenerateRequest latent = Sized(9, 32, 10, 6);
  latent.set_output_type(v1::OUTPUT_TYPE_LATENT);
  EXPECT_TRUE(small.shape.decoded);
  EXPECT_FALSE(SizeOf(latent).shape.decoded);
}

TEST(CostModel, AveragesOverTheJobsOfAShape) {
  CostModel costs;
  const JobSize size = Size(9, 32);
  EXPECT_EQ(std::nullopt, costs.Seconds("m", size));
  costs.Learn("m", "g", Seen(size, {.before = 1, .step = 2, .after = 3}));
  EXPECT_DOUBLE_EQ(1 + 10 * 2 + 3, costs.Seconds("m", "g", size).value());
  EXPECT_DOUBLE_EQ(1 + 20 * 2 + 3, costs.Seconds("m", "g", Size(9, 32, 20)).value());
  costs.Learn("m", "g", Seen(size, {.before = 2, .step = 3, .after = 13}));
  const JobCosts now = costs.Expect("m", "g", size.shape).value();
  EXPECT_DOUBLE_EQ(1 + 0.5, now.before);
  EXPECT_DOUBLE_EQ(2 + 0.5, now.step);
  EXPECT_DOUBLE_EQ(3 + 0.5 * 10, now.after);
}

TEST(CostModel, TheFastestGroupOfAModelCounts) {
  CostModel costs;
  const JobSize size = Size(9, 32, 1);
  costs.Learn("m", "g", Seen(size, {.step = 5}));
  costs.Learn("m", "h", Seen(size, {.step = 4}));
  costs.Learn("n", "h", Seen(size, {.step = 2}));
  costs.SetGroup("1", "m", "g");
  costs.SetGroup("2", "m", "h");
  costs.SetGroup("3", "n", "h");
  EXPECT_DOUBLE_EQ(4, costs.Seconds("m", size).value());
  EXPECT_EQ(std::nullopt, costs.Seconds("m", "i", size));
  EXPECT_EQ(std::nullopt, costs.Seconds("o", size));
}

// Deadlines are promised by it: nobody keeps what only a group that is gone could.
TEST(CostModel, AGroupThatIsGoneCountsOnlyWhereNothingElseIsKnown) {
  CostModel costs;
  const JobSize size = Size(9, 32, 1);
  costs.Absorb({{"m", "big", Seen(size, {.step = 1})}, {"m", "small", Seen(size, {.step = 8})}});
  EXPECT_DOUBLE_EQ(1, costs.Seconds("m", size).value()) << "after a restart, before any group";
  costs.SetGroup("1", "m", "new");
  EXPECT_DOUBLE_EQ(1, costs.Seconds("m", size).value()) << "of which nothing is known yet";
  costs.SetGroup("2", "m", "small");
  EXPECT_DOUBLE_EQ(8, costs.Seconds("m", size).value());
  costs.SetGroup("3", "m", "big");
  EXPECT_DOUBLE_EQ(1, costs.Seconds("m", size).value());
  costs.DropGroup("3");
  EXPECT_DOUBLE_EQ(8, costs.Seconds("m", size).value());
  costs.SetGroup("2", "m", "big");  // it comes back with more ranks
  EXPECT_DOUBLE_EQ(1, costs.Seconds("m", size).value());
}

// A step grows with tokens and branches; a decode has no text and no branches.
TEST(CostModel, ScalesFromTheNearestShape) {
  CostModel costs;
  const JobSize far = Size(9, 320), near = Size(9, 32), wanted = Size(17, 32);
  costs.Learn("m", "g", Seen(far, {.before = 7, .step = 70, .after = 700}));
  costs.Learn("m", "g", Seen(near, {.before = 1, .step = 2, .after = 3}));
  const JobCosts expected = costs.Expect("m", "g", wanted.shape).value();
  EXPECT_DOUBLE_EQ(1, expected.before);
  EXPECT_DOUBLE_EQ(2 * (26 + 20) / 38.0, expected.step);
  EXPECT_DOUBLE_EQ(3 * 20 / 12.0, expected.after);
  const JobCosts unguided = costs.Expect("m", "g", Size(9, 32, 10, 1).shape).value();
  EXPECT_DOUBLE_EQ(1, unguided.step);
  EXPECT_DOUBLE_EQ(3, unguided.after);
}

// What the ranks reckon knows of rounds and chunks: a decode is not linear in anything.
TEST(CostModel, TheRanksArithmeticScalesTheDecode) {
  CostModel costs;
  costs.Learn("m", "g", Seen(Size(9, 32), {.step = 2, .after = 12}, /*decode_in_steps=*/3));
  // It took twice what the arithmetic says, and so will the other: 2 · 5 steps of 2 · 46 / 38 s.
  const JobCosts other = costs.Expect("m", "g", Size(17, 32).shape, 5).value();
  EXPECT_DOUBLE_EQ(2 * 5 * 2 * 46 / 38.0, other.after);
}

TEST(CostModel, LatentsAreNotDecoded) {
  CostModel costs;
  costs.Learn("m", "g", Seen(Size(9, 32), {.step = 2, .after = 12}, 3));
  JobSize latents = Size(9, 32);
  latents.shape.decoded = false;
  EXPECT_LE(costs.Expect("m", "g", latents.shape)->after, 2);
  costs.Learn("m", "h", Seen(latents, {.step = 2, .after = 0.1}));
  EXPECT_DOUBLE_EQ(3 * 2, costs.Expect("m", "h", Size(9, 32).shape, 3)->after);
}

TEST(CostModel, IsBoundedAndForgetsTheOldest) {
  CostModel costs;
  const JobSize size = Size(9, 32);
  for (int i = 0; i < 100; ++i) costs.Learn("m", std::to_string(i), Seen(size, {.step = 1}));
  EXPECT_EQ(64u, costs.All().size());
  EXPECT_EQ(std::nullopt, costs.Expect("m", "35", size.shape));
  EXPECT_NE(std::nullopt, costs.Expect("m", "36", size.shape));
  for (int i = 1; i <= 50; ++i) costs.Learn("m", "99", Seen(Size(8 * i + 1, 32), {.step = 1}));
  EXPECT_EQ(63u + 32u, costs.All().size());
  EXPECT_EQ("99", costs.All().back().setup);
  EXPECT_EQ(Size(401, 32).shape, costs.All().back().seen.shape);
}

TEST(CostModel, WhatWasLearntHereStaysWhenOthersAreHeard) {
  CostModel costs;
  const JobSize mine = Size(9, 32), theirs = Size(17, 32);
  costs.Learn("m", "g", Seen(mine, {.step = 1}));
  costs.Absorb({{"m", "g", Seen(mine, {.step = 9})}, {"m", "g", Seen(theirs, {.step = 9})}});
  EXPECT_EQ(1, costs.Expect("m", "g", mine.shape)->step);
  EXPECT_EQ(9, costs.Expect("m", "g", theirs.shape)->step);
  costs.Absorb({{"m", "g", Seen(theirs, {.step = 8})}});
  EXPECT_EQ(8, costs.Expect("m", "g", theirs.shape)->step);
}

}  // namespace
}  // namespace cogwheel
