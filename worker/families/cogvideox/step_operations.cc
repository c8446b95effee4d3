#include "worker/families/cogvideox/step_operations.h"

namespace cogwheel {

double StepOperations(const TransformerConfig& config, const Geometry& geometry, int branches) {
  const double width = static_cast<double>(config.width());
  const double own_width = static_cast<double>(geometry.heads(config.num_attention_heads).size() *
                                               config.attention_head_dim);
  const double rows = static_cast<double>(geometry.rows().size());
  const double block_rows = static_cast<double>(geometry.block().size());
  const double linear = 24 * rows * width * width;
  const double attention = 4 * block_rows * static_cast<double>(geometry.joint_count()) * own_width;
  return static_cast<double>(branches * config.num_layers) * (linear + attention);
}

}  // namespace cogwheel
