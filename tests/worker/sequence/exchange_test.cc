#include "worker/sequence/exchange.h"

#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/spawn_tensor_ranks.h"
#include "worker/sequence/links.h"

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

  Geometry At(int world_rank) const {
    return {mesh, world_rank, {.text_count = text, .video = {1, 1, video}}};
  }
};

class HeadExchangeTest : public testing::TestWithParam<Case> {};

// out[b][s][n] on member j is the joint tensor's row block.begin + s, head heads(j).begin + n.
TEST_P(HeadExchangeTest, ToHeadsGivesTheBlocksRowsAndOwnHeads) {
  const Case c = GetParam();
  const Joint joint = MakeJoint(c.text + c.video, c.heads);
  SpawnTensorRanks(c.mesh.size(), [&](Communicator& world) {
    const MeshLinks links = MakeMeshLinks(world, c.mesh);
    const Geometry geometry = c.At(world.rank());
    const Range rows = geometry.rows();
    const auto mine = [&](const at::Tensor& x) { return x.narrow(1, rows.begin, rows.size()); };
    const HeadExchange exchange(geometry, *links.ulysses, c.heads);
    const Heads out =
        exchange.ToHeads({.q = mine(joint.q), .k = mine(joint.k), .v = mine(joint.v)});

    const int shards = c.mesh.shard_count();
    const int first = geometry.ring_rank() * c.mesh.ulysses;
    const int64_t begin = (c.text + c.video) * first / shards;
    const int64_t end = (c.text + c.video) * (first + c.mesh.ulysses) / shards;
    const Range heads = SplitHeads(c.heads, c.mesh.ulysses, geometry.ulysses_rank());
    const auto expected = [&](const at::Tensor& x) {
      return x.narrow(1, begin, end - begin).narrow(2, heads.begin, heads.size());
    };
    EXPECT_TRUE(at::equal(out.q, expected(joint.q)));
    EXPECT_TRUE(at::equal(out.k, expected(joint.k)));
    EXPECT_TRUE(at::equal(out.v, expected(joint.v)));
    ASSERT_EQ(out.kv.defined(), c.mesh.ulysses > 1);  // a member alone copies nothing
    if (!out.kv.defined()) {
      EXPECT_TRUE(out.q.is_alias_of(joint.q) && out.k.is_alias_of(joint.k));
      return;
    }
    EXPECT_TRUE(out.kv[0].is_same_size(out.k) && out.kv.is_alias_of(out.k));
    EXPECT_TRUE(at::equal(out.kv[0], out.k) && at::equal(out.kv[1], out.v));
  });
}

TEST_P(HeadExchangeTest, ToRowsIsTheWayBack) {
  const Case c = GetParam();
  const Joint joint = MakeJoint(c.text + c.video, c.heads);
  SpawnTensorRanks(c.mesh.size(), [&](Communicator& world) {
    const MeshLinks links = MakeMeshLinks(world, c.mesh);
    const Geometry geometry = c.At(world.rank());
    const Range block = geometry.block(), heads = geometry.heads(c.heads);
    const at::Tensor attended = joint.v.narrow(1, block.begin, block.size())
                                    .narrow(2, heads.begin, heads.size())
                                    .contiguous();
    const HeadExchange exchange(geometry, *links.ulysses, c.heads);
    const Range rows = geometry.rows();
    EXPECT_TRUE(at::equal(exchange.ToRows(attended), joint.v.narrow(1, rows.begin, rows.size())));
  });
}

// Even, uneven, fewer heads than ranks, fewer rows than ranks, and beside a ring and a cfg axis.
INSTANTIATE_TEST_SUITE_P(Meshes, HeadExchangeTest,
                         testing::Values(Case{{1, 1, 1}, 3, 5, 2}, Case{{1, 1, 2}, 4, 4, 2},
                                         Case{{1, 1, 2}, 3, 6, 5}, Case{{1, 1, 3}, 5, 6, 4},
                                         Case{{1, 1, 3}, 1, 10, 1}, Case{{1, 1, 4}, 7, 26, 30},
                                         Case{{1, 1, 4}, 1, 2, 3}, Case{{1, 2, 2}, 7, 20, 3},
                                         Case{{2, 2, 2}, 5, 6, 5}, Case{{1, 3, 2}, 0, 4, 2}),
                         [](const testing::TestParamInfo<Case>& info) {
                           return "case_" + std::to_string(info.index);
                         });

}  // namespace
}  // namespace cogwheel
