// The plan by hand. What it says of attention is held against what is allocated in
// tests/worker/sequence/sequence_attention_test.cc.
#include "worker/families/cogvideox/footprint.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// E = 2 · 16, 3 text and 8 video rows.
const TransformerConfig kConfig = {.num_attention_heads = 2,
                                   .attention_head_dim = 16,
                                   .in_channels = 4,
                                   .out_channels = 4,
                                   .text_embed_dim = 10};
constexpr Segments kSegments = {.text_count = 3, .video = {2, 2, 2}};

// In fp32: the residual beside q, k, v, one of them normed, and its video rows twice while they are
// rotated, more than the hidden rows of 4 E; patches of (4 + 4) · 2 · 2 numbers; 12 E of
// modulation; the additive table.
TEST(FootprintTest, OneRankByHand) {
  const int64_t rows = 2 * 11 * 32 * 4;  // both branches
  const int64_t activations =
      5 * rows + 2 * (2 * 8 * 32 * 4) + 2 * 8 * 32 * 4 + 2 * 12 * 32 * 4 + 11 * 32 * 4;
  EXPECT_EQ(ActivationBytes(kConfig, {{}, 0, kSegments}, 2, 4), activations);
  // The loop holds 7 tensors of 8 rows of 16 numbers, and the text's rows are kept.
  EXPECT_EQ(DenoiseBytes(kConfig, {{}, 0, kSegments}, /*guided=*/true, 4),
            activations + 7 * 8 * 16 * 4 + 2 * 3 * 10 * 4);
  // Given and copied into the batch; the rows of this rank, which are all.
  EXPECT_EQ(SharedTextBytes(kConfig, {{}, 0, kSegments}, /*guided=*/true, 4), 3 * (2 * 3 * 10 * 4));
}

// A guidance half computes one branch but is handed the text of both.
TEST(FootprintTest, AGuidanceHalfHoldsOneBranch) {
  const Geometry half({.cfg = 2}, 1, kSegments);
  EXPECT_EQ(SharedTextBytes(kConfig, half, /*guided=*/true, 4), 5 * (3 * 10 * 4));
  EXPECT_EQ(DenoiseBytes(kConfig, half, /*guided=*/true, 4),
            ActivationBytes(kConfig, half, 1, 4) + 7 * 8 * 16 * 4 + 3 * 10 * 4);
}

// 11 rows of 2 heads of 16 numbers, in both branches. Alone nothing is sent; of two members each
// has q, k and v on their way to the other, what comes from it, and the other's next.
TEST(FootprintTest, MessagesByHand) {
  const auto bytes = [](const Mesh& mesh, int rank) {
    return LayerMessageBytes(kConfig, {mesh, rank, kSegments}, /*guided=*/true, 4);
  };
  EXPECT_EQ(bytes({}, 0), 0);
  const int64_t own = 2 * 5 * 32 * 4, block = 2 * 11 * 16 * 4;
  EXPECT_EQ(bytes({.ulysses = 2}, 0), 3 * (own + block) + own);
  // k and v of 6 rows at most: one block leaves and one comes.
  EXPECT_EQ(bytes({.ring = 2}, 0), 2 * (2 * 2 * 6 * 32 * 4));
}

}  // namespace
}  // namespace cogwheel
