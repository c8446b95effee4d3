#include "worker/families/cogvideox/step_operations.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

struct FullSize {
  const char* name;
  TransformerConfig config;
  int64_t joint_count;
  double teraflop;  // of a guided step
};

std::vector<FullSize> FullSizes() {
  TransformerConfig two_b, five_b;
  five_b.num_attention_heads = 48;
  five_b.num_layers = 42;
  return {
      {"2b", two_b, 17'776, 240}, {"5b", five_b, 17'776, 664}, {"1.5-5b", five_b, 45'106, 2958}};
}

Geometry At(const Mesh& mesh, int world_rank, int64_t joint_count) {
  return {mesh, world_rank, {.text_count = 226, .video = {1, 1, joint_count - 226}}};
}

// Figures of the measured runs, which count the same.
TEST(StepOperationsTest, IsWhatFullSizesTake) {
  for (const FullSize& size : FullSizes()) {
    const double operations = StepOperations(size.config, At({}, 0, size.joint_count), 2);
    EXPECT_NEAR(operations / 1e12, size.teraflop, 0.5) << size.name;
  }
}

// Uneven rows and heads too: 30 heads on 4 ranks, 17,776 rows on 3.
TEST(StepOperationsTest, RanksShareAllOfIt) {
  for (const FullSize& size : FullSizes()) {
    const double whole = StepOperations(size.config, At({}, 0, size.joint_count), 1);
    for (const Mesh& mesh : {Mesh{1, 1, 3}, Mesh{1, 1, 4}, Mesh{1, 4, 1}, Mesh{1, 3, 2}}) {
      double sum = 0, most = 0;
      for (int rank = 0; rank < mesh.size(); ++rank) {
        const double share = StepOperations(size.config, At(mesh, rank, size.joint_count), 1);
        sum += share;
        most = std::max(most, share);
      }
      EXPECT_NEAR(sum / whole, 1, 1e-12) << size.name << " " << mesh.ToString();
      EXPECT_LT(most * mesh.size() / whole, 1.07) << size.name << " " << mesh.ToString();
    }
  }
}

TEST(StepOperationsTest, GuidanceHalvesDoABranchEach) {
  const TransformerConfig config;
  const double both = StepOperations(config, At({1, 1, 2}, 1, 17'776), 2);
  EXPECT_EQ(StepOperations(config, At({2, 1, 2}, 1, 17'776), 1) * 2, both);
  EXPECT_EQ(StepOperations(config, At({2, 1, 2}, 3, 17'776), 1) * 2, both);
}

}  // namespace
}  // namespace cogwheel
