#include "worker/kernels/attention_hopper.cuh"

namespace cogwheel {

bool LaunchHopperAttentionBf16(const HopperAttention& work) {
  return HopperAttentionKernel<cutlass::bfloat16_t>::Launch(work);
}

}  // namespace cogwheel
