#pragma once

#include <cuda_runtime_api.h>
#include <cutlass/cutlass.h>
#include <cutlass/kernel_hardware_info.h>
#include <collective/fmha_fusion.hpp>
#include <cute/tensor.hpp>
#include <device/device_universal.hpp>
#include <kernel/fmha_kernel_builder.hpp>

#include "worker/kernels/attention_hopper.h"

// CUTLASS's forward attention (the headers of its example 88) in the shape that was fastest for
// head dimension 64: three math warp groups of 64 query rows take turns, 128 keys a step,
// persistent.
namespace cogwheel {

template <typename Element>
class HopperAttentionKernel {
 public:
  static bool Launch(const HopperAttention& work) {
    const typename Kernel::Arguments arguments{
        {work.batch, work.heads, work.queries, work.keys, kHeadDim},
        {static_cast<const Element*>(work.q), StrideOf(work.q_strides),
         static_cast<const Element*>(work.k), StrideOf(work.k_strides),
         static_cast<const Element*>(work.v), StrideOf(work.v_strides)},
        {static_cast<Element*>(work.out), StrideOf(work.out_strides), work.lse,
         LseStride(cute::_1{}, cute::make_tuple(work.heads * work.queries, work.queries))},
        {/*device_id=*/0, work.multiprocessors}};
    // Not asked: can_implement, which refuses query counts that are no multiple of 8. The kernel
    // handles them (tests/gpu), only rows beyond the end are computed in vain.
    typename Kernel::Params params = Kernel::to_underlying_arguments(arguments, nullptr);
    // For the current device; CUTLASS would do it once a process, whatever the device.
    const cudaError_t sized = cudaFuncSetAttribute(cutlass::device_kernel<Kernel>,
                                                   cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   Kernel::SharedStorageSize);
    if (sized != cudaSuccess) return false;
    const auto stream = static_cast<cudaStream_t>(work.stream);
    return Operation::run(params, stream) == cutlass::Status::kSuccess;
  }

 private:
  static constexpr int kHeadDim = 64;
  using Strides = cute::tuple<int, cute::_1, cute::tuple<int, int>>;  // row, channel, (batch, head)
  using LseStride = cute::tuple<cute::_1, cute::tuple<int, int>>;
  using Tile = cute::Shape<cute::_192, cute::_128, cute::_64>;  // queries, keys, channels
  using Groups =
      cutlass::fmha::kernel::Option<cutlass::fmha::kernel::Tag::kNumMmaWarpGroups, cute::Int<3>>;
  // Keys beyond the last are masked in the last step.
  using Fusion = cutlass::fmha::collective::ResidualFusion;
  using Kernel = typename cutlass::fmha::kernel::FmhaBuilder<
      Element, float, float, Tile, Strides, Strides, Strides, Fusion,
      cutlass::gemm::KernelTmaWarpSpecializedPingpong, Groups>::Kernel;
  using Operation = cutlass::device::Universal<Kernel>;

  static Strides StrideOf(const HeadStrides& strides) {
    return {static_cast<int>(strides.row), cute::_1{},
            cute::make_tuple(static_cast<int>(strides.batch), static_cast<int>(strides.head))};
  }
};

}  // namespace cogwheel
