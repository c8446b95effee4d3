#include "worker/sequence/mesh.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

TEST(MeshTest, UlyssesIsInnermostThenRingThenCfg) {
  const Mesh mesh = {.cfg = 2, .ring = 3, .ulysses = 2};
  const struct {
    int world_rank;
    MeshCoord coord;
    int shard;
  } table[] = {{0, {0, 0, 0}, 0}, {1, {0, 0, 1}, 1},  {2, {0, 1, 0}, 2},
               {5, {0, 2, 1}, 5}, {6, {1, 0, 0}, 0},  {7, {1, 0, 1}, 1},
               {9, {1, 1, 1}, 3}, {10, {1, 2, 0}, 4}, {11, {1, 2, 1}, 5}};
  EXPECT_EQ(mesh.size(), 12);
  EXPECT_EQ(mesh.shard_count(), 6);
  for (const auto& row : table) {
    SCOPED_TRACE(row.world_rank);
    const MeshCoord coord = mesh.At(row.world_rank);
    EXPECT_EQ(coord.cfg, row.coord.cfg);
    EXPECT_EQ(coord.ring, row.coord.ring);
    EXPECT_EQ(coord.ulysses, row.coord.ulysses);
    EXPECT_EQ(mesh.RankAt(coord), row.world_rank);
    EXPECT_EQ(mesh.ShardOf(row.world_rank), row.shard);
  }
}

TEST(MeshTest, RankAtUndoesAtOnEveryMesh) {
  for (int cfg = 1; cfg <= 2; ++cfg) {
    for (int ring = 1; ring <= 8; ++ring) {
      for (int ulysses = 1; ulysses <= 8; ++ulysses) {
        const Mesh mesh = {.cfg = cfg, .ring = ring, .ulysses = ulysses};
        for (int rank = 0; rank < mesh.size(); ++rank) {
          const MeshCoord coord = mesh.At(rank);
          ASSERT_EQ(mesh.RankAt(coord), rank) << mesh.ToString();
          ASSERT_EQ(mesh.ShardOf(rank), coord.ring * ulysses + coord.ulysses);
          // The pair that exchanges guidance holds the same shard.
          ASSERT_EQ(
              mesh.ShardOf(mesh.RankAt(
                  {.cfg = cfg - 1 - coord.cfg, .ring = coord.ring, .ulysses = coord.ulysses})),
              mesh.ShardOf(rank));
        }
      }
    }
  }
}

TEST(MeshTest, AnUnguidedJobDoublesTheRing) {
  const Mesh mesh = {.cfg = 2, .ring = 3, .ulysses = 4};
  EXPECT_EQ(mesh.ForGuidance(true), mesh);
  EXPECT_EQ(mesh.ForGuidance(false), (Mesh{.cfg = 1, .ring = 6, .ulysses = 4}));
  const Mesh single = {.cfg = 1, .ring = 2, .ulysses = 1};
  EXPECT_EQ(single.ForGuidance(false), single);
}

TEST(MeshTest, NamesItsAxes) {
  EXPECT_EQ((Mesh{.cfg = 2, .ring = 3, .ulysses = 4}).ToString(), "cfg2 x ring3 x ulysses4");
}

}  // namespace
}  // namespace cogwheel
