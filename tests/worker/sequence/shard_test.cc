#include "worker/sequence/shard.h"

#include <algorithm>
#include <stdexcept>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

TEST(ShardTest, SequenceCutsAtTheFloor) {
  // floor(i * 10 / 4): 0 2 5 7 10
  EXPECT_EQ(SplitSequence(10, 4, 0), (Range{0, 2}));
  EXPECT_EQ(SplitSequence(10, 4, 1), (Range{2, 5}));
  EXPECT_EQ(SplitSequence(10, 4, 2), (Range{5, 7}));
  EXPECT_EQ(SplitSequence(10, 4, 3), (Range{7, 10}));
  // More parts than rows: some are empty.
  EXPECT_EQ(SplitSequence(2, 3, 0), (Range{0, 0}));
  EXPECT_EQ(SplitSequence(2, 3, 1), (Range{0, 1}));
  EXPECT_EQ(SplitSequence(2, 3, 2), (Range{1, 2}));
  // The longest clip: 85,906 rows (the products stay far below 2^63).
  EXPECT_EQ(SplitSequence(85906, 4, 1), (Range{21476, 42953}));
}

TEST(ShardTest, FirstPartsTakeTheExtraHeads) {
  EXPECT_EQ(SplitHeads(30, 4, 0), (Range{0, 8}));
  EXPECT_EQ(SplitHeads(30, 4, 1), (Range{8, 16}));
  EXPECT_EQ(SplitHeads(30, 4, 2), (Range{16, 23}));
  EXPECT_EQ(SplitHeads(30, 4, 3), (Range{23, 30}));
  EXPECT_EQ(SplitHeads(1, 3, 0), (Range{0, 1}));
  EXPECT_EQ(SplitHeads(1, 3, 1), (Range{1, 1}));
  EXPECT_EQ(SplitHeads(1, 3, 2), (Range{1, 1}));
}

template <typename Split>
void ExpectPartition(Split split, int64_t length, int part_count) {
  int64_t next = 0, smallest = length, largest = 0;
  for (int i = 0; i < part_count; ++i) {
    const Range part = split(length, part_count, i);
    ASSERT_EQ(part.begin, next) << length << " in " << part_count;
    ASSERT_GE(part.end, part.begin);
    next = part.end;
    smallest = std::min(smallest, part.size());
    largest = std::max(largest, part.size());
  }
  ASSERT_EQ(next, length);
  ASSERT_LE(largest - smallest, 1) << length << " in " << part_count;
}

TEST(ShardTest, PartsCoverEverythingInOrderAndDifferByAtMostOne) {
  for (int64_t length = 0; length <= 130; ++length) {
    for (int parts = 1; parts <= 17; ++parts) {
      ExpectPartition(SplitSequence, length, parts);
      ExpectPartition(SplitHeads, length, parts);
    }
  }
  for (const int64_t length : {17776, 45106, 85904, 85906, 1 << 30}) {
    for (int parts = 1; parts <= 64; ++parts) ExpectPartition(SplitSequence, length, parts);
  }
}

TEST(ShardTest, JointShardsHoldEachTextAndVideoRowOnce) {
  for (const int64_t text : {0, 1, 7, 16, 226}) {
    for (const int64_t video : {0, 1, 2, 25, 64, 350}) {
      for (int parts = 1; parts <= 9; ++parts) {
        int64_t next_text = 0, next_video = 0;
        for (int i = 0; i < parts; ++i) {
          const JointShard shard = SplitJoint(text, video, parts, i);
          ASSERT_EQ(shard.rows, SplitSequence(text + video, parts, i));
          ASSERT_EQ(shard.text.size() + shard.video.size(), shard.rows.size());
          if (!shard.text.empty()) {
            ASSERT_EQ(shard.text.begin, next_text);
            ASSERT_EQ(shard.rows.begin, next_text);
          }
          if (!shard.video.empty()) {
            ASSERT_EQ(shard.video.begin, next_video);
            ASSERT_EQ(shard.rows.end, text + shard.video.end);
          }
          next_text += shard.text.size();
          next_video += shard.video.size();
        }
        ASSERT_EQ(next_text, text);
        ASSERT_EQ(next_video, video);
      }
    }
  }
}

TEST(ShardTest, AShardMayHoldTextAndVideo) {
  const JointShard shard = SplitJoint(/*text_count=*/7, /*video_count=*/25, 4, 0);
  EXPECT_EQ(shard.rows, (Range{0, 8}));
  EXPECT_EQ(shard.text, (Range{0, 7}));
  EXPECT_EQ(shard.video, (Range{0, 1}));
}

TEST(ShardTest, Intersections) {
  EXPECT_EQ(Intersect({2, 8}, {5, 12}), (Range{5, 8}));
  EXPECT_EQ(Intersect({5, 12}, {2, 8}), (Range{5, 8}));
  EXPECT_EQ(Intersect({0, 10}, {3, 4}), (Range{3, 4}));
  EXPECT_TRUE(Intersect({0, 3}, {3, 6}).empty());
  EXPECT_TRUE(Intersect({0, 3}, {5, 6}).empty());
}

TEST(ShardTest, Divisions) {
  EXPECT_EQ(DivExact(478, 2), 239);
  EXPECT_THROW(DivExact(479, 2), std::invalid_argument);
  EXPECT_THROW(DivExact(1, 0), std::invalid_argument);
  EXPECT_EQ(DivCeil(0, 4), 0);
  EXPECT_EQ(DivCeil(8, 4), 2);
  EXPECT_EQ(DivCeil(9, 4), 3);
}

}  // namespace
}  // namespace cogwheel
