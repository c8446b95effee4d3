#include "worker/sequence/ulysses_exchange.h"

#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/spawn_tensor_ranks.h"
#include "worker/sequence/groups.h"

namespace cogwheel {
namespace {

constexpr int64_t kBatch = 2, kDim = 3;

// Every element of the three joint tensors is another number, exact in fp32 below 2^24.
struct Joint {
  at::Tensor q, k, v;  // [B, S, N, D]
};
Joint MakeJoint(int64_t rows, int64_t heads) {
  const int64_t count = kBatch * rows * heads * kDim;
  const at::Tensor all = at::arange(3 * count, at::kFloat).reshape({3, kBatch, rows, heads, kDim});
  return {.q = all[0], .k = all[1], .v = all[2]};
}

struct Case {
  Mesh mesh;
  int64_t text, video, heads;
};

class UlyssesExchangeTest : public testing::TestWithParam<Case> {};

// out[b][s][n] on member j is the joint tensor's row block.begin + s, head heads(j).begin + n.
TEST_P(UlyssesExchangeTest, ScatterGivesTheBlocksRowsAndOwnHeads) {
  const Case c = GetParam();
  const Joint joint = MakeJoint(c.text + c.video, c.heads);
  SpawnTensorRanks(c.mesh.size(), [&](Communicator& world) {
    const SequenceGroups groups(world, c.mesh);
    const SequenceContext context = groups.Context(c.text, c.video);
    const Range rows = context.shard().rows;
    const auto mine = [&](const at::Tensor& x) { return x.narrow(1, rows.begin, rows.size()); };
    const ScatteredHeads out = ScatterHeads({mine(joint.q), mine(joint.k), mine(joint.v)}, context);

    const int shards = c.mesh.shard_count();
    const int first = context.ring_rank * c.mesh.ulysses;
    const int64_t begin = (c.text + c.video) * first / shards;
    const int64_t end = (c.text + c.video) * (first + c.mesh.ulysses) / shards;
    const Range heads = SplitHeads(c.heads, c.mesh.ulysses, context.ulysses_rank);
    const auto expected = [&](const at::Tensor& x) {
      return x.narrow(1, begin, end - begin).narrow(2, heads.begin, heads.size());
    };
    EXPECT_TRUE(at::equal(out.q, expected(joint.q)));
    EXPECT_TRUE(at::equal(out.kv[0], expected(joint.k)));
    EXPECT_TRUE(at::equal(out.kv[1], expected(joint.v)));
  });
}

TEST_P(UlyssesExchangeTest, GatherIsTheWayBack) {
  const Case c = GetParam();
  const Joint joint = MakeJoint(c.text + c.video, c.heads);
  SpawnTensorRanks(c.mesh.size(), [&](Communicator& world) {
    const SequenceGroups groups(world, c.mesh);
    const SequenceContext context = groups.Context(c.text, c.video);
    const Range block = RingBlock(context, context.ring_rank);
    const Range heads = SplitHeads(c.heads, c.mesh.ulysses, context.ulysses_rank);
    const at::Tensor attended = joint.v.narrow(1, block.begin, block.size())
                                    .narrow(2, heads.begin, heads.size())
                                    .contiguous();
    const at::Tensor back = GatherHeads(attended, context, c.heads);
    const Range rows = context.shard().rows;
    EXPECT_TRUE(at::equal(back, joint.v.narrow(1, rows.begin, rows.size())));
  });
}

// Even, uneven, fewer heads than ranks, fewer rows than ranks, and beside a ring and a cfg axis.
INSTANTIATE_TEST_SUITE_P(Meshes, UlyssesExchangeTest,
                         testing::Values(Case{{1, 1, 1}, 3, 5, 2}, Case{{1, 1, 2}, 4, 4, 2},
                                         Case{{1, 1, 2}, 3, 6, 5}, Case{{1, 1, 3}, 5, 6, 4},
                                         Case{{1, 1, 3}, 1, 10, 1}, Case{{1, 1, 4}, 7, 26, 30},
                                         Case{{1, 1, 4}, 1, 2, 3}, Case{{1, 2, 2}, 7, 20, 3},
                                         Case{{2, 2, 2}, 5, 6, 5}, Case{{1, 3, 2}, 0, 4, 2}),
                         [](const testing::TestParamInfo<Case>& info) {
                           return "case_" + std::to_string(info.index);
                         });

TEST(RingBlockTest, BlocksAreTheRowsOfTheirUlyssesGroup) {
  // 11 rows on 2 x 3 shards, cuts at floor(11 i / 6): 0 1 3 5 7 9 11
  const SequenceContext context = {
      .text_count = 4, .video_count = 7, .ring_size = 2, .ulysses_size = 3};
  EXPECT_EQ(RingBlock(context, 0), (Range{0, 5}));
  EXPECT_EQ(RingBlock(context, 1), (Range{5, 11}));
}

}  // namespace
}  // namespace cogwheel
