#include "worker/comm/mailbox/lockstep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::HasSubstr;

constexpr uint64_t kRing = 7, kUlysses = 8;

// This rank, 0, in its first block.
class LockstepTest : public testing::Test {
 protected:
  LockstepTest() { EXPECT_EQ(lockstep_.EnterBlock(BlockKind::kStep), ""); }
  Lockstep lockstep_{0};
};

TEST_F(LockstepTest, TheSameProgramIsInStepWhoeverIsAhead) {
  EXPECT_EQ(lockstep_.Hear(1, {.block = 1, .number = 0}, kRing), "");  // ahead
  EXPECT_EQ(lockstep_.Issue(kRing), "");
  EXPECT_EQ(lockstep_.Issue(kUlysses), "");
  EXPECT_EQ(lockstep_.Hear(2, {.block = 1, .number = 0}, kRing), "");  // behind
  EXPECT_EQ(lockstep_.HearEntered(1, 2, 2), "");
  EXPECT_EQ(lockstep_.Hear(1, {.block = 2, .number = 0}, kUlysses), "");
  EXPECT_EQ(lockstep_.EnterBlock(BlockKind::kStep), "");
  EXPECT_EQ(lockstep_.issued_before(), 2);
  EXPECT_EQ(lockstep_.HearEntered(2, 2, 2), "");
  EXPECT_EQ(lockstep_.Issue(kUlysses), "");
}

TEST_F(LockstepTest, AnotherExchangeAtTheSamePlaceIsFoundOnEitherSide) {
  EXPECT_EQ(lockstep_.Hear(1, {.block = 1, .number = 0}, kUlysses), "");
  EXPECT_THAT(lockstep_.Issue(kRing), HasSubstr("exchange 0 of block 1"));
  EXPECT_THAT(lockstep_.Hear(2, {.block = 1, .number = 0}, kUlysses), HasSubstr("rank 2"));
}

// It left the block after 1; this rank waits in its second, and would for ever.
TEST_F(LockstepTest, APeerThatLeftTooEarlyIsFoundWhileThisRankWaits) {
  EXPECT_EQ(lockstep_.Issue(kRing), "");
  EXPECT_EQ(lockstep_.Issue(kRing), "");
  EXPECT_THAT(lockstep_.HearEntered(1, 2, 1), HasSubstr("rank 1 left block 1 after 1"));
}

TEST_F(LockstepTest, APeerThatLeftEarlierIsFoundAtTheNextExchange) {
  EXPECT_EQ(lockstep_.Issue(kRing), "");
  EXPECT_EQ(lockstep_.HearEntered(1, 2, 1), "");
  EXPECT_THAT(lockstep_.Issue(kRing), HasSubstr("rank 1 left block 1 after 1"));
}

TEST_F(LockstepTest, ARankThatIssuedFewerIsFoundWhenTheBlockEnds) {
  EXPECT_EQ(lockstep_.Issue(kRing), "");
  EXPECT_EQ(lockstep_.HearEntered(1, 2, 2), "");  // this rank may still come to 2
  EXPECT_THAT(lockstep_.EnterBlock(BlockKind::kStep), HasSubstr("rank 1 left block 1 after 2"));
}

TEST_F(LockstepTest, DecodeBlocksAreNotCompared) {
  EXPECT_EQ(lockstep_.EnterBlock(BlockKind::kDecode), "");
  EXPECT_EQ(lockstep_.Issue(kRing), "");
  EXPECT_EQ(lockstep_.place().block, 0);
  EXPECT_EQ(lockstep_.Hear(1, {}, kUlysses), "");
  EXPECT_EQ(lockstep_.HearEntered(1, 3, 5), "");
  EXPECT_EQ(lockstep_.EnterBlock(BlockKind::kStep), "");
  EXPECT_EQ(lockstep_.issued_before(), 1);
}

}  // namespace
}  // namespace cogwheel
