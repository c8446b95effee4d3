#include "worker/rank/step_deadline.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(StepDeadlineTest, IsTenTimesTheAverageAtLeastTenSeconds) {
  StepDeadline deadline(seconds(600));
  EXPECT_EQ(deadline.Limit(BlockKind::kStep), seconds(600));  // the first of its kind
  deadline.Learn(BlockKind::kStep, milliseconds(20));
  EXPECT_EQ(deadline.Limit(BlockKind::kStep), seconds(10));
  for (int i = 0; i < 100; ++i) deadline.Learn(BlockKind::kStep, seconds(4));
  EXPECT_NEAR(std::chrono::duration<double>(deadline.Limit(BlockKind::kStep)).count(), 40, 0.01);
  deadline.Learn(BlockKind::kStep, seconds(9));  // a fifth of the way from 4 to 9: 5 s
  EXPECT_NEAR(std::chrono::duration<double>(deadline.Limit(BlockKind::kStep)).count(), 50, 0.01);
}

// On a busy CPU the first chunk of a small model takes more than 10 s, and many times a step.
TEST(StepDeadlineTest, ADecodesFirstBlockCountsOnlyWhereItIsTheOnlyOne) {
  StepDeadline deadline(seconds(600));
  deadline.SetShape(1);
  deadline.Learn(BlockKind::kStep, milliseconds(1));
  deadline.Learn(BlockKind::kDecode, milliseconds(1));  // agreement alone: more blocks follow
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(600));
  deadline.Learn(BlockKind::kDecode, seconds(4));
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(40));
  deadline.SetShape(1);
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(40));
  deadline.SetShape(2);
  deadline.Learn(BlockKind::kDecode, seconds(3));  // all of a short job's
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(600));
  deadline.SetShape(2);
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(30));
}

// A rank may have no chunk.
TEST(StepDeadlineTest, ADecodeMayTakeWhatAStepMay) {
  StepDeadline deadline(seconds(600));
  deadline.Learn(BlockKind::kStep, seconds(30));
  deadline.Learn(BlockKind::kDecode, milliseconds(1));
  deadline.Learn(BlockKind::kDecode, milliseconds(1));
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(300));
  deadline.SetShape(2);
  deadline.Learn(BlockKind::kDecode, milliseconds(1));
  deadline.Learn(BlockKind::kDecode, seconds(2));
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(20));
  deadline.Learn(BlockKind::kText, seconds(1));
  deadline.Learn(BlockKind::kStep, seconds(30));
  EXPECT_EQ(deadline.Limit(BlockKind::kText), seconds(10));
}

TEST(StepDeadlineTest, EachShapeAndKindHasItsOwn) {
  StepDeadline deadline(seconds(600));
  deadline.SetShape(1);
  deadline.Learn(BlockKind::kStep, seconds(1));
  EXPECT_EQ(deadline.Limit(BlockKind::kDecode), seconds(600));
  deadline.SetShape(2);
  EXPECT_EQ(deadline.Limit(BlockKind::kStep), seconds(600));
  deadline.SetShape(1);
  EXPECT_EQ(deadline.Limit(BlockKind::kStep), seconds(10));
}

}  // namespace
}  // namespace cogwheel
