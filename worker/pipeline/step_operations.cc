#include "worker/pipeline/step_operations.h"

#include "worker/sequence/shard.h"

namespace cogwheel {

double StepOperations(const TransformerConfig& config, const Mesh& mesh, int world_rank,
                      int64_t joint_count, int64_t branches) {
  const MeshCoord coord = mesh.At(world_rank);
  const auto rows_of = [&](int shard) {
    return static_cast<double>(SplitSequence(joint_count, mesh.shard_count(), shard).size());
  };
  const int block = coord.ring * mesh.ulysses;  // the first shard of this rank's ring block
  double block_rows = 0;
  for (int member = 0; member < mesh.ulysses; ++member) block_rows += rows_of(block + member);
  const double width = static_cast<double>(config.width());
  const double own_width = static_cast<double>(
      SplitHeads(config.num_attention_heads, mesh.ulysses, coord.ulysses).size() *
      config.attention_head_dim);
  const double linear = 24 * rows_of(block + coord.ulysses) * width * width;
  const double attention = 4 * block_rows * static_cast<double>(joint_count) * own_width;
  return static_cast<double>(branches * config.num_layers) * (linear + attention);
}

}  // namespace cogwheel
