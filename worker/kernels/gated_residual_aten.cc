#include <ATen/ATen.h>

#include "worker/kernels/gated_residual.h"

namespace cogwheel {

void AddGatedAten(at::Tensor& residual, at::Tensor& update, int64_t text_count,
                  const RowGates& gates) {
  const int64_t S = residual.size(1);
  if (text_count > 0) update.narrow(1, 0, text_count).mul_(gates.text.unsqueeze(1));
  if (text_count < S) update.narrow(1, text_count, S - text_count).mul_(gates.video.unsqueeze(1));
  residual.add_(update);
}

}  // namespace cogwheel
