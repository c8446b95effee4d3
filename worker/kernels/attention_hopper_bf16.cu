#include "worker/kernels/attention_hopper.cuh"

namespace cogwheel {

// The fast form, then the one that takes any scores, which ends at once unless it is needed. bf16
// has fp32's range of exponents; scores after q, k norms are far within what the first can take.
bool LaunchHopperAttentionBf16(const HopperAttention& work) {
  using Element = cutlass::bfloat16_t;
  return HopperAttentionKernel<Element, DirectSoftmax>::Launch(work) &&
         HopperAttentionKernel<Element, RowSoftmax, IfInexact>::Launch(work);
}

}  // namespace cogwheel
