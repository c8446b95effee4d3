// The central test of sequence parallelism: the production path on every mesh against the plain
// formula on the whole sequence.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include "tests/support/peak_bytes.h"
#include "tests/support/plain_attention.h"
#include "tests/support/spawn_tensor_ranks.h"
#include "worker/sequence/exchange.h"
#include "worker/sequence/footprint.h"
#include "worker/sequence/links.h"
#include "worker/sequence/ring.h"

namespace cogwheel {
namespace {

constexpr int64_t kDim = 16;

struct Sizes {
  int64_t text = 0, video = 0, heads = 0;
  int64_t batch = 1;
  int64_t rows() const { return text + video; }
  Geometry At(const Mesh& mesh, int world_rank) const {
    return {mesh, world_rank, {.text_count = text, .video = {1, 1, video}}};
  }
};

struct Operands {
  at::Tensor q, k, v;  // [B, S, N, D]
};

Operands MakeOperands(const Sizes& sizes, at::ScalarType dtype = at::kFloat) {
  const auto make = [&](uint64_t seed) {
    return SeededNormal({sizes.batch, sizes.rows(), sizes.heads, kDim}, seed).to(dtype);
  };
  return {.q = make(1), .k = make(2), .v = make(3)};
}

at::Tensor HeadsFirst(const at::Tensor& x) { return x.transpose(1, 2); }

// The four lines of a block, on one rank. What is handed over with std::move is freed once used.
class ShardAttention {
 public:
  ShardAttention(Communicator& world, const Mesh& mesh, const Sizes& sizes)
      : links_(MakeMeshLinks(world, mesh)),
        geometry_(sizes.At(mesh, world.rank())),
        exchange_(geometry_, *links_.ulysses, sizes.heads),
        ring_(geometry_, *links_.ring) {}

  const Geometry& geometry() const { return geometry_; }
  at::Tensor Mine(const at::Tensor& x) const {
    return x.narrow(1, geometry_.rows().begin, geometry_.rows().size());
  }
  at::Tensor Attend(Heads h) const {
    h = exchange_.ToHeads(std::move(h));
    at::Tensor out = ring_.Attend(std::move(h));
    return exchange_.ToRows(std::move(out));
  }

 private:
  const MeshLinks links_;
  const Geometry geometry_;
  const HeadExchange exchange_;
  const Ring ring_;
};

// Each rank's rows of the attention, put together: [B, S, N, D].
at::Tensor AttendOnMesh(const Mesh& mesh, const Sizes& sizes, const Operands& x) {
  std::vector<at::Tensor> shards(mesh.size());
  SpawnTensorRanks(mesh.size(), [&](Communicator& world) {
    const ShardAttention shard(world, mesh, sizes);
    at::Tensor& out = shards[world.rank()];
    out = shard.Attend({.q = shard.Mine(x.q), .k = shard.Mine(x.k), .v = shard.Mine(x.v)});
    EXPECT_EQ(out.size(1), shard.geometry().rows().size());
  });
  return at::cat(shards, 1);
}

// A part is a mean of v with its own weights, merged with weights that sum to one: each of the
// ring's merges adds exp, product and sum, 8 u of the largest v at most (u = 2^-24).
double Tolerance(const Mesh& mesh, const Operands& x) {
  return ToleranceOf(HeadsFirst(x.q), HeadsFirst(x.k), HeadsFirst(x.v)).out +
         8 * mesh.ring * std::ldexp(1.0, -24) * x.v.abs().max().item<double>();
}

void ExpectPlain(const Mesh& mesh, const Sizes& sizes, at::ScalarType dtype = at::kFloat) {
  SCOPED_TRACE(mesh.ToString() + ", " + std::to_string(sizes.text) + " + " +
               std::to_string(sizes.video) + " rows, " + std::to_string(sizes.heads) + " heads");
  const Operands x = MakeOperands(sizes, dtype);
  const at::Tensor plain =
      HeadsFirst(AttendPlainly(HeadsFirst(x.q), HeadsFirst(x.k), HeadsFirst(x.v)).out);
  const at::Tensor out = AttendOnMesh(mesh, sizes, x);
  EXPECT_EQ(out.scalar_type(), dtype);
  EXPECT_LE(LargestDifference(out, plain), Tolerance(mesh, x));
}

class SequenceAttentionTest : public testing::TestWithParam<Mesh> {};

TEST_P(SequenceAttentionTest, EqualsPlainAttention) {
  for (const int64_t heads : {1, 3, 5, 6, 30}) {
    ExpectPlain(GetParam(), {.text = 8, .video = 40, .heads = heads, .batch = 2});
    ExpectPlain(GetParam(), {.text = 7, .video = 30, .heads = heads});
  }
}

TEST_P(SequenceAttentionTest, RanksWithoutRows) {
  ExpectPlain(GetParam(), {.text = 1, .video = 2, .heads = 5});
  ExpectPlain(GetParam(), {.text = 0, .video = 1, .heads = 6});
}

TEST_P(SequenceAttentionTest, Bf16) {
  ExpectPlain(GetParam(), {.text = 7, .video = 30, .heads = 3}, at::kBFloat16);
}

// Same mesh, same numbers: whatever arrives first, blocks are merged in ring order.
TEST_P(SequenceAttentionTest, IsBitIdenticalWhenRepeated) {
  const Sizes sizes = {.text = 7, .video = 58, .heads = 5};
  const Operands x = MakeOperands(sizes);
  const at::Tensor first = AttendOnMesh(GetParam(), sizes, x);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(AttendOnMesh(GetParam(), sizes, x), first));
  }
}

INSTANTIATE_TEST_SUITE_P(Meshes, SequenceAttentionTest,
                         testing::Values(Mesh{1, 1, 1}, Mesh{1, 1, 2}, Mesh{1, 2, 1}, Mesh{1, 2, 2},
                                         Mesh{1, 1, 3}, Mesh{1, 3, 1}, Mesh{1, 1, 4}, Mesh{1, 4, 1},
                                         Mesh{1, 2, 3}, Mesh{1, 3, 2}),
                         [](const testing::TestParamInfo<Mesh>& info) {
                           return "r" + std::to_string(info.param.ring) + "u" +
                                  std::to_string(info.param.ulysses);
                         });

// With guidance on two halves of the world each half attends on its own.
TEST(SequenceAttentionCfgTest, HalvesDoNotMix) {
  const Mesh mesh = {.cfg = 2, .ring = 2, .ulysses = 2};
  const Sizes sizes = {.text = 5, .video = 32, .heads = 3};
  const Operands x = MakeOperands(sizes);
  std::vector<at::Tensor> shards(mesh.size());
  SpawnTensorRanks(mesh.size(), [&](Communicator& world) {
    const ShardAttention shard(world, mesh, sizes);
    const double sign = shard.geometry().branch() == 0 ? 1 : -1;
    shards[world.rank()] =
        shard.Attend({.q = shard.Mine(x.q), .k = shard.Mine(x.k), .v = shard.Mine(x.v) * sign});
  });
  const at::Tensor plain =
      HeadsFirst(AttendPlainly(HeadsFirst(x.q), HeadsFirst(x.k), HeadsFirst(x.v)).out);
  const auto half = [&](int first) {
    return at::cat(std::vector<at::Tensor>(shards.begin() + first, shards.begin() + first + 4), 1);
  };
  EXPECT_LE(LargestDifference(half(0), plain), Tolerance(mesh, x));
  EXPECT_LE(LargestDifference(half(4), -plain), Tolerance(mesh, x));
}

int64_t SentBytes(const Mesh& mesh, const Sizes& sizes, int of_rank) {
  const Operands x = MakeOperands(sizes);
  int64_t sent_bytes = 0;
  SpawnTensorRanks(mesh.size(), [&](Communicator& world) {
    const ShardAttention shard(world, mesh, sizes);
    shard.Attend({.q = shard.Mine(x.q), .k = shard.Mine(x.k), .v = shard.Mine(x.v)});
    if (world.rank() == of_rank) sent_bytes = world.sent_bytes();
  });
  return sent_bytes;
}

// Specification 7.4, per rank and layer: V = B S E b [4 (U - 1) / U + 2 (R - 1)] / P, E = N D.
TEST(SequenceAttentionBytesTest, SendsWhatTheSpecificationCounts) {
  const Sizes sizes = {.text = 16, .video = 80, .heads = 12, .batch = 2};
  for (const Mesh& mesh : {Mesh{1, 1, 1}, Mesh{1, 1, 2}, Mesh{1, 2, 1}, Mesh{1, 2, 2},
                           Mesh{1, 1, 4}, Mesh{1, 4, 1}, Mesh{1, 2, 3}}) {
    const int64_t u = mesh.ulysses, r = mesh.ring;
    const int64_t whole = sizes.batch * sizes.rows() * sizes.heads * kDim * 4;
    const int64_t expected = whole * (4 * (u - 1) + 2 * (r - 1) * u) / (u * u * r);
    for (int rank = 0; rank < mesh.size(); ++rank) {
      EXPECT_EQ(SentBytes(mesh, sizes, rank), expected) << mesh.ToString() << " rank " << rank;
    }
  }
}

// Uneven by hand. 11 rows on ring 2 x ulysses 2 are shards of 2, 3, 3, 3 rows, blocks of 5 and 6;
// 3 heads are 2 and 1. A row of one head is 16 * 4 = 64 bytes.
TEST(SequenceAttentionBytesTest, UnevenSharesByHand) {
  const Mesh mesh = {.cfg = 1, .ring = 2, .ulysses = 2};
  const Sizes sizes = {.text = 4, .video = 7, .heads = 3};
  // Rank 0 (2 rows, 2 heads): q, k, v of 1 head to rank 1; 3 result rows of 2 heads to rank 1;
  // its block of 5 rows, K and V, 2 heads to rank 2.
  EXPECT_EQ(SentBytes(mesh, sizes, 0), (3 * 2 * 1 + 3 * 2 + 2 * 5 * 2) * 64);
  // Rank 3 (3 rows, 1 head): q, k, v of 2 heads to rank 2; 3 result rows of 1 head; 6 rows, 1 head.
  EXPECT_EQ(SentBytes(mesh, sizes, 3), (3 * 3 * 2 + 3 * 1 + 2 * 6 * 1) * 64);
}

// What the attention kernel works in, which has no share in the plan: up to 256 rows (64 below 768)
// by 512 keys of logits in fp32 and again in bf16, and D + 2 sums a row.
int64_t TileBytes(int64_t rows) {
  return (rows >= 768 ? 256 : 64) * (512 * (4 + 2) + (kDim + 2) * 4);
}

// The plan's figure is a bound for what is really allocated, and no loose one.
TEST(SequenceAttentionBytesTest, PlanBoundsTheTensorsHeld) {
  const Sizes even = {.text = 57, .video = 2000, .heads = 12};
  // 5 heads on 4 members are 2, 1, 1, 1. The batch is for what that adds to be more than a tile.
  const Sizes uneven = {.text = 57, .video = 2000, .heads = 5, .batch = 4};
  const std::pair<Mesh, Sizes> cases[] = {{{1, 1, 1}, even}, {{1, 1, 2}, even},
                                          {{1, 2, 1}, even}, {{1, 2, 2}, even},
                                          {{1, 4, 1}, even}, {{1, 1, 4}, uneven}};
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& [mesh, sizes] : cases) {
      const Operands x = MakeOperands(sizes, dtype);
      SpawnTensorRanks(mesh.size(), [&](Communicator& world) {
        const ShardAttention shard(world, mesh, sizes);
        const auto mine = [&](const at::Tensor& t) { return shard.Mine(t).clone(); };
        const auto held = std::make_shared<PeakBytes>();
        {
          const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, held);
          shard.Attend({.q = mine(x.q), .k = mine(x.k), .v = mine(x.v)});
        }
        const int64_t planned =
            AttentionBytes(shard.geometry(), {.batch = sizes.batch,
                                              .heads = sizes.heads,
                                              .head_dim = kDim,
                                              .element_bytes = x.q.element_size()});
        const int64_t rows = shard.geometry().rows().size();
        EXPECT_LE(held->peak(), planned + TileBytes(rows * mesh.ulysses + 1))
            << mesh.ToString() << " " << dtype;
        // Blocks differ by one row of k and v, the plan takes the largest for all, and two are held
        // while one travels.
        const int64_t row = 2 * 2 * sizes.batch * sizes.heads * kDim * x.q.element_size();
        EXPECT_GE(held->peak(), planned - row) << mesh.ToString() << " " << dtype;
      });
    }
  }
}

}  // namespace
}  // namespace cogwheel
