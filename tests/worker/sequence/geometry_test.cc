#include "worker/sequence/geometry.h"

#include <vector>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// 3 text rows and 2 x 2 x 3 video rows, 15 in all.
constexpr Segments kSegments = {.text_count = 3, .video = {.frames = 2, .rows = 2, .columns = 3}};

TEST(GeometryTest, CountsAreTheSegments) {
  const Geometry geometry({}, 0, kSegments);
  EXPECT_EQ(geometry.text_count(), 3);
  EXPECT_EQ(geometry.video_count(), 12);
  EXPECT_EQ(geometry.joint_count(), 15);
  EXPECT_EQ(geometry.rows(), (Range{0, 15}));
  EXPECT_EQ(geometry.block(), (Range{0, 15}));
  EXPECT_EQ(geometry.heads(6), (Range{0, 6}));
}

// cfg 2 x ring 2 x ulysses 3, by hand: 15 rows on 6 shards are cut at floor(15 i / 6), so at
// 0 2 5 7 10 12 15; the first two shards share the 3 text rows; 5 heads on 3 are 2, 2, 1.
TEST(GeometryTest, RowsBlocksAndHeadsByHand) {
  const Mesh mesh = {.cfg = 2, .ring = 2, .ulysses = 3};
  const struct {
    int rank, ring, ulysses, branch, peer;
    Range rows, text, video, block, in_block, heads;
  } table[] = {
      {0, 0, 0, 0, 6, {0, 2}, {0, 2}, {0, 0}, {0, 7}, {0, 2}, {0, 2}},
      {1, 0, 1, 0, 7, {2, 5}, {2, 3}, {0, 2}, {0, 7}, {2, 5}, {2, 4}},
      {2, 0, 2, 0, 8, {5, 7}, {3, 3}, {2, 4}, {0, 7}, {5, 7}, {4, 5}},
      {3, 1, 0, 0, 9, {7, 10}, {3, 3}, {4, 7}, {7, 15}, {0, 3}, {0, 2}},
      {4, 1, 1, 0, 10, {10, 12}, {3, 3}, {7, 9}, {7, 15}, {3, 5}, {2, 4}},
      {5, 1, 2, 0, 11, {12, 15}, {3, 3}, {9, 12}, {7, 15}, {5, 8}, {4, 5}},
      {6, 0, 0, 1, 0, {0, 2}, {0, 2}, {0, 0}, {0, 7}, {0, 2}, {0, 2}},
      {10, 1, 1, 1, 4, {10, 12}, {3, 3}, {7, 9}, {7, 15}, {3, 5}, {2, 4}},
  };
  for (const auto& row : table) {
    SCOPED_TRACE(row.rank);
    const Geometry geometry(mesh, row.rank, kSegments);
    EXPECT_EQ(geometry.ring_rank(), row.ring);
    EXPECT_EQ(geometry.ulysses_rank(), row.ulysses);
    EXPECT_EQ(geometry.branch(), row.branch);
    EXPECT_EQ(geometry.branch_peer(), row.peer);
    EXPECT_EQ(geometry.rows(), row.rows);
    EXPECT_EQ(geometry.text_rows(), row.text);
    EXPECT_EQ(geometry.video_rows(), row.video);
    EXPECT_EQ(geometry.block(), row.block);
    EXPECT_EQ(geometry.rows_in_block(row.ulysses), row.in_block);
    EXPECT_EQ(geometry.heads(5), row.heads);
    // The same from any other place.
    const Geometry elsewhere(mesh, 11, kSegments);
    EXPECT_EQ(elsewhere.given_video_rows_of(row.rank), row.branch == 0 ? row.video : Range{});
    EXPECT_EQ(elsewhere.block(row.ring), row.block);
    EXPECT_EQ(elsewhere.heads(5, row.ulysses), row.heads);
  }
}

TEST(GeometryTest, BranchesByMesh) {
  const Geometry flat({.cfg = 1, .ring = 2, .ulysses = 1}, 1, kSegments);
  EXPECT_EQ(flat.branch_count(/*guided=*/true), 2);
  EXPECT_EQ(flat.branch_count(/*guided=*/false), 1);
  EXPECT_EQ(flat.branch(), 0);
  const Geometry half({.cfg = 2, .ring = 1, .ulysses = 1}, 1, kSegments);
  EXPECT_EQ(half.branch_count(/*guided=*/true), 1);
  EXPECT_EQ(half.branch(), 1);
}

// Every row, video row and head is owned once, blocks are made of their members, and a clip that
// is put together takes every video row from one rank.
TEST(GeometryTest, SharesAddUpOnEveryMesh) {
  for (const int64_t text : {0, 1, 7}) {
    for (const int64_t columns : {1, 5, 30}) {
      for (int cfg = 1; cfg <= 2; ++cfg) {
        for (int ring = 1; ring <= 4; ++ring) {
          for (int ulysses = 1; ulysses <= 4; ++ulysses) {
            const Mesh mesh = {.cfg = cfg, .ring = ring, .ulysses = ulysses};
            int64_t rows = 0, video_rows = 0, given = 0;
            for (int rank = 0; rank < mesh.size(); ++rank) {
              const Geometry geometry(mesh, rank, {.text_count = text, .video = {1, 1, columns}});
              ASSERT_EQ(geometry.rows().size(),
                        geometry.text_rows().size() + geometry.video_rows().size());
              rows += geometry.rows().size();
              video_rows += geometry.video_rows().size();
              given += geometry.given_video_rows_of(rank).size();
              const Range own = geometry.rows_in_block(geometry.ulysses_rank());
              ASSERT_EQ(geometry.block().begin + own.begin, geometry.rows().begin);
              ASSERT_EQ(own.size(), geometry.rows().size());
              int64_t block_rows = 0, heads = 0;
              for (int member = 0; member < ulysses; ++member) {
                block_rows += geometry.rows_in_block(member).size();
                heads += geometry.heads(5, member).size();
              }
              ASSERT_EQ(block_rows, geometry.block().size());
              ASSERT_EQ(heads, 5);
            }
            ASSERT_EQ(rows, cfg * (text + columns)) << mesh.ToString();
            ASSERT_EQ(video_rows, cfg * columns) << mesh.ToString();
            ASSERT_EQ(given, columns) << mesh.ToString();
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace cogwheel
