#include "worker/kernels/attention_hopper.cuh"

namespace cogwheel {

bool LaunchHopperAttentionFp16(const HopperAttention& work) {
  return HopperAttentionKernel<cutlass::half_t, RowSoftmax>::Launch(work);
}

}  // namespace cogwheel
