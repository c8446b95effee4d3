#include "worker/rank/step_deadline.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr WorkUnit kLayer{.name = "layer"};

double Seconds(StepDeadline::Duration time) { return std::chrono::duration<double>(time).count(); }

TEST(StepDeadlineTest, IsTheFirstLimitUntilThreeOfAKindAreKnown) {
  StepDeadline deadline(seconds(600));
  for (int known = 0; known < 3; ++known) {
    EXPECT_EQ(deadline.Limit(kLayer), seconds(600)) << known;
    deadline.Learn(kLayer, seconds(80));
  }
  EXPECT_EQ(deadline.Limit(kLayer), seconds(800));  // may be more than the first
}

TEST(StepDeadlineTest, IsTenTimesTheMeanAtLeastTenSeconds) {
  StepDeadline deadline(seconds(600));
  for (int i = 0; i < 3; ++i) deadline.Learn(kLayer, milliseconds(20));
  EXPECT_EQ(deadline.Limit(kLayer), seconds(10));
  StepDeadline slow(seconds(600));
  for (const int took : {1, 2, 6}) slow.Learn(kLayer, seconds(took));
  EXPECT_NEAR(Seconds(slow.Limit(kLayer)), 30, 0.01);
  for (int i = 0; i < 100; ++i) slow.Learn(kLayer, seconds(4));
  EXPECT_NEAR(Seconds(slow.Limit(kLayer)), 40, 0.01);
  slow.Learn(kLayer, seconds(9));  // a fifth of the way from 4 to 9: 5 s
  EXPECT_NEAR(Seconds(slow.Limit(kLayer)), 50, 0.01);
}

// A VAE's first convolutions take a thirtieth of its last.
TEST(StepDeadlineTest, EachShapeNameAndKindHasItsOwn) {
  StepDeadline deadline(seconds(600));
  deadline.SetShape(1);
  for (int i = 0; i < 3; ++i) deadline.Learn({.name = "convolution", .kind = 1}, seconds(2));
  EXPECT_EQ(deadline.Limit({.name = "convolution", .kind = 1}), seconds(20));
  EXPECT_EQ(deadline.Limit({.name = "convolution", .kind = 2}), seconds(600));
  EXPECT_EQ(deadline.Limit({.name = "text layer", .kind = 1}), seconds(600));
  deadline.SetShape(2);
  EXPECT_EQ(deadline.Limit({.name = "convolution", .kind = 1}), seconds(600));
  deadline.SetShape(1);
  EXPECT_EQ(deadline.Limit({.name = "convolution", .kind = 1}), seconds(20));
}

// Shapes without end: the table forgets, and does not grow.
TEST(StepDeadlineTest, ForgetsWhenItKnowsTooMuch) {
  StepDeadline deadline(seconds(600));
  for (int i = 0; i < 3; ++i) deadline.Learn(kLayer, seconds(2));
  for (uint64_t shape = 1; shape < 20'000; ++shape) {
    deadline.SetShape(shape);
    deadline.Learn(kLayer, seconds(2));
  }
  deadline.SetShape(0);
  EXPECT_EQ(deadline.Limit(kLayer), seconds(600));
}

}  // namespace
}  // namespace cogwheel
