#include "worker/journal/lockstep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::HasSubstr;

constexpr uint64_t kRing = 7, kUlysses = 8;

// This rank, 0, in its first block.
class LockstepTest : public testing::Test {
 protected:
  LockstepTest() { EXPECT_EQ("", Enter(BlockKind::kStep)); }
  std::string Enter(BlockKind kind) {
    Lockstep::Entered entered = lockstep_.EnterBlock(kind);
    note_ = entered.note;
    return entered.wrong;
  }
  std::string Issue(uint64_t channel_id) {
    mark_ = {};
    return lockstep_.Issue(channel_id, mark_);
  }

  Lockstep lockstep_{0};
  MessageMark mark_{}, note_{};  // the last exchange's, and what the peers are told
};

TEST_F(LockstepTest, TheSameProgramIsInStepWhoeverIsAhead) {
  EXPECT_EQ(lockstep_.Heard(1, {1, 0}, kRing), "");  // ahead
  EXPECT_EQ(Issue(kRing), "");
  EXPECT_EQ(Issue(kUlysses), "");
  EXPECT_EQ(lockstep_.Heard(2, {1, 0}, kRing), "");  // behind
  EXPECT_EQ(lockstep_.HeardNote(1, {2, 2}), "");
  EXPECT_EQ(lockstep_.Heard(1, {2, 0}, kUlysses), "");
  EXPECT_EQ(Enter(BlockKind::kStep), "");
  EXPECT_EQ(note_, (MessageMark{2, 2}));
  EXPECT_EQ(lockstep_.HeardNote(2, {2, 2}), "");
  EXPECT_EQ(Issue(kUlysses), "");
}

TEST_F(LockstepTest, AnotherExchangeAtTheSamePlaceIsFoundOnEitherSide) {
  EXPECT_EQ(lockstep_.Heard(1, {1, 0}, kUlysses), "");
  EXPECT_THAT(Issue(kRing), HasSubstr("exchange 0 of block 1"));
  EXPECT_THAT(lockstep_.Heard(2, {1, 0}, kUlysses), HasSubstr("rank 2"));
}

// It left the block after 1; this rank waits in its second, and would for ever.
TEST_F(LockstepTest, APeerThatLeftTooEarlyIsFoundWhileThisRankWaits) {
  EXPECT_EQ(Issue(kRing), "");
  EXPECT_EQ(Issue(kRing), "");
  EXPECT_THAT(lockstep_.HeardNote(1, {2, 1}), HasSubstr("rank 1 left block 1 after 1"));
}

TEST_F(LockstepTest, APeerThatLeftEarlierIsFoundAtTheNextExchange) {
  EXPECT_EQ(Issue(kRing), "");
  EXPECT_EQ(lockstep_.HeardNote(1, {2, 1}), "");
  EXPECT_THAT(Issue(kRing), HasSubstr("rank 1 left block 1 after 1"));
}

TEST_F(LockstepTest, ARankThatIssuedFewerIsFoundWhenTheBlockEnds) {
  EXPECT_EQ(Issue(kRing), "");
  EXPECT_EQ(lockstep_.HeardNote(1, {2, 2}), "");  // this rank may still come to 2
  EXPECT_THAT(Enter(BlockKind::kStep), HasSubstr("rank 1 left block 1 after 2"));
}

TEST_F(LockstepTest, DecodeBlocksAreNotCompared) {
  EXPECT_EQ(Enter(BlockKind::kDecode), "");
  EXPECT_EQ(Issue(kRing), "");
  EXPECT_EQ(mark_, MessageMark{});
  EXPECT_EQ(lockstep_.Heard(1, {}, kUlysses), "");
  EXPECT_EQ(lockstep_.HeardNote(1, {3, 5}), "");
  EXPECT_EQ(Enter(BlockKind::kStep), "");
  EXPECT_EQ(note_, (MessageMark{3, 1}));
}

}  // namespace
}  // namespace cogwheel
