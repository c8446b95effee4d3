#include "server/dispatch/job_pace.h"

#include <chrono>
#include <optional>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

JobPace::Time At(double second) {
  return JobPace::Time(
      std::chrono::duration_cast<JobPace::Time::duration>(std::chrono::duration<double>(second)));
}

// 10 steps; starts at 0.
JobPace Job(bool decoded = true) {
  return JobPace({.shape = {.text_tokens = 1, .decoded = decoded}, .steps = 10}, At(0));
}

constexpr RunProgress Step(int step) { return {RunStage::kDenoise, step, 10}; }
constexpr RunProgress Chunk(int chunk, int chunks = 4) {
  return {RunStage::kDecode, chunk, chunks};
}

TEST(JobPace, AFirstJobGoesByItsStepsAndTheRanksArithmetic) {
  JobPace pace = Job();
  pace.Expect(std::nullopt, /*decode_in_steps=*/3);
  pace.OnProgress({RunStage::kTextEncode, 0, 1}, At(0));
  EXPECT_EQ(std::nullopt, pace.SecondsLeft(At(1)));
  EXPECT_EQ(0, pace.Fraction(At(1)));
  pace.OnProgress({RunStage::kTextEncode, 1, 1}, At(2));
  EXPECT_EQ(0.01, pace.Fraction(At(2)));
  pace.OnProgress(Step(0), At(2));
  EXPECT_EQ(std::nullopt, pace.SecondsLeft(At(3)));
  pace.OnProgress(Step(1), At(5));  // 3 s with what the first prepares
  EXPECT_DOUBLE_EQ((9 + 3) * 3, pace.SecondsLeft(At(5)).value());
  pace.OnProgress(Step(2), At(7));  // 2 s
  EXPECT_DOUBLE_EQ((8 + 3) * 2, pace.SecondsLeft(At(7)).value());
  EXPECT_DOUBLE_EQ((8 + 3) * 2 - 1, pace.SecondsLeft(At(8)).value());
  EXPECT_DOUBLE_EQ(7.0 / (7 + 22), pace.Fraction(At(7)));
  EXPECT_DOUBLE_EQ((7 + 3) * 2 + 0.1, pace.SecondsLeft(At(99)).value()) << "no further than a step";
}

TEST(JobPace, AKnownJobCanBeToldFromTheFirstSecond) {
  JobPace pace = Job();
  pace.Expect(JobCosts{.before = 4, .step = 2, .after = 6}, /*decode_in_steps=*/100);
  pace.OnProgress({RunStage::kTextEncode, 0, 1}, At(1));
  EXPECT_DOUBLE_EQ(3 + 20 + 6, pace.SecondsLeft(At(1)).value());
  EXPECT_DOUBLE_EQ(1.0 / 30, pace.Fraction(At(1)));
  pace.OnProgress(Step(0), At(4));
  EXPECT_DOUBLE_EQ(26, pace.SecondsLeft(At(4)).value());
  // Twice as slow as it was: what is measured outweighs it step by step, for the decode as well.
  pace.OnProgress(Step(1), At(8));
  EXPECT_DOUBLE_EQ(9 * 2 + 6, pace.SecondsLeft(At(8)).value());
  pace.OnProgress(Step(2), At(12));
  EXPECT_DOUBLE_EQ(8 * 3 + 9, pace.SecondsLeft(At(12)).value());
  pace.OnProgress(Step(4), At(20));
  EXPECT_DOUBLE_EQ(6 * 3.5 + 10.5, pace.SecondsLeft(At(20)).value());
}

TEST(JobPace, TheDecodeGoesAsExpectedAndThenByItsChunks) {
  JobPace pace = Job();
  pace.Expect(JobCosts{.before = 0, .step = 1, .after = 8}, 0);
  pace.OnProgress(Step(0), At(0));
  pace.OnProgress(Step(10), At(10));
  EXPECT_DOUBLE_EQ(8, pace.SecondsLeft(At(10)).value());
  pace.OnProgress(Chunk(0), At(10.5));
  EXPECT_DOUBLE_EQ(5, pace.SecondsLeft(At(13)).value());
  EXPECT_DOUBLE_EQ(0.4, pace.SecondsLeft(At(40)).value()) << "overdue";
  pace.OnProgress(Chunk(2), At(18));  // by chunks it takes 16 s, and half of that was expected
  EXPECT_DOUBLE_EQ(12 - 8, pace.SecondsLeft(At(18)).value());
  pace.OnProgress(Chunk(4), At(26));
  EXPECT_GT(pace.SecondsLeft(At(26)).value(), 0);
  EXPECT_LT(pace.SecondsLeft(At(26)).value(), 1);
}

TEST(JobPace, WhatIsDecodedIsNearlyDoneWhateverWasExpected) {
  JobPace pace = Job();
  pace.Expect(std::nullopt, /*decode_in_steps=*/100);
  pace.OnProgress(Step(0), At(0));
  pace.OnProgress(Step(10), At(10));
  pace.OnProgress(Chunk(0, 1), At(10));
  EXPECT_DOUBLE_EQ(98, pace.SecondsLeft(At(12)).value());
  pace.OnProgress(Chunk(1, 1), At(14));
  EXPECT_DOUBLE_EQ(1, pace.SecondsLeft(At(14)).value());
  EXPECT_GT(pace.Fraction(At(14)), 0.9);
}

TEST(JobPace, TheFractionNeverFallsNorIsWhole) {
  JobPace pace = Job();
  pace.Expect(std::nullopt, 3);
  double last = 0;
  const auto rises = [&](double now) {
    const double fraction = pace.Fraction(At(now));
    EXPECT_GE(fraction, last) << now;
    EXPECT_LT(fraction, 1) << now;
    last = fraction;
  };
  pace.OnProgress(Step(0), At(1));
  for (int step = 1; step <= 10; ++step) {  // ever slower: the end goes away
    const double now = step * step;
    pace.OnProgress(Step(step), At(now));
    rises(now);
    rises(now + 0.5);
  }
  for (int chunk = 0; chunk <= 4; ++chunk) {
    pace.OnProgress(Chunk(chunk), At(100 + 30 * chunk));
    rises(100 + 30 * chunk);
  }
  rises(10'000);
}

// Of ranks of the release before.
TEST(JobPace, WhatNobodyCanTellIsNotTold) {
  JobPace pace = Job();
  pace.Expect(std::nullopt, 0);
  pace.OnProgress(Step(0), At(0));
  pace.OnProgress(Step(5), At(5));
  EXPECT_EQ(std::nullopt, pace.SecondsLeft(At(5)));
  const double half_of_steps = pace.Fraction(At(5));
  EXPECT_GT(half_of_steps, 0.3);
  EXPECT_LT(half_of_steps, 0.5);
  pace.OnProgress(Step(10), At(10));
  EXPECT_DOUBLE_EQ(0.75, pace.Fraction(At(10)));
  pace.OnProgress(Chunk(1), At(12));
  EXPECT_DOUBLE_EQ(6, pace.SecondsLeft(At(12)).value());
  JobPace latents = Job(/*decoded=*/false);
  latents.Expect(std::nullopt, 0);
  latents.OnProgress(Step(0), At(0));
  latents.OnProgress(Step(5), At(5));
  EXPECT_DOUBLE_EQ(5, latents.SecondsLeft(At(5)).value()) << "nothing follows its steps";
}

TEST(JobPace, KnowsWhatItTook) {
  JobPace pace = Job();
  pace.Expect(std::nullopt, 3);
  EXPECT_EQ(std::nullopt, pace.Took(At(1)));
  pace.OnProgress(Step(0), At(2));
  EXPECT_EQ(std::nullopt, pace.Took(At(3)));
  pace.OnProgress(Step(10), At(22));
  pace.OnProgress(Chunk(4), At(26));
  const SeenCosts took = pace.Took(At(27)).value();
  EXPECT_DOUBLE_EQ(2, took.costs.before);
  EXPECT_DOUBLE_EQ(2, took.costs.step);
  EXPECT_DOUBLE_EQ(5, took.costs.after);
  EXPECT_EQ(3, took.decode_in_steps);
  EXPECT_EQ(1, took.shape.text_tokens);
}

}  // namespace
}  // namespace cogwheel
