#pragma once

#include <cuda_runtime_api.h>
#include <cutlass/cutlass.h>
#include <cutlass/kernel_hardware_info.h>
#include <collective/fmha_collective_tma_warpspecialized.hpp>
#include <collective/fmha_epilogue.hpp>
#include <collective/fmha_fusion.hpp>
#include <cute/tensor.hpp>
#include <device/device_universal.hpp>
#include <kernel/fmha_kernel_tma_warpspecialized.hpp>
#include <kernel/fmha_tile_scheduler.hpp>

#include "worker/kernels/attention_hopper.h"
#include "worker/kernels/attention_mainloop.cuh"

// Attention out of CUTLASS's parts (the headers of its example 88: loads, scheduler, epilogue)
// around a main loop of our own: three math warp groups of 64 query rows, 128 keys a tile,
// persistent.
namespace cogwheel {

// Does its work only where another kernel has left the mark that its own was not exact.
template <typename Kernel>
struct IfInexact : Kernel {
  __device__ void operator()(const typename Kernel::Params& params, char* shared_memory) {
    if (*params.mainloop.inexact != 0) Kernel::operator()(params, shared_memory);
  }
};

template <typename Kernel>
using Always = Kernel;

template <typename Element, typename Softmax, template <typename> typename When = Always>
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
    typename Kernel::Params params = Kernel::to_underlying_arguments(arguments, work.inexact);
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
  static constexpr int kMathGroups = 3;
  using Groups = cutlass::fmha::kernel::Option<cutlass::fmha::kernel::Tag::kNumMmaWarpGroups,
                                               cute::Int<kMathGroups>>;
  using Persistent =
      cutlass::fmha::kernel::Option<cutlass::fmha::kernel::Tag::kIsPersistent, cute::true_type>;
  // A warp of its own loads the queries, ahead of the tile that is worked on.
  using QueryLoads =
      cutlass::fmha::kernel::Option<cutlass::fmha::kernel::Tag::kLoadsQSeparately, cute::true_type>;
  using Loads = cutlass::fmha::collective::FmhaMainloopTmaWarpSpecialized<
      Element, float, float, Tile, Strides, Strides, Strides,
      cutlass::fmha::collective::DefaultFusion, Groups, Persistent, QueryLoads>;
  using Epilogue =
      cutlass::fmha::collective::FmhaFwdEpilogue<Element, float, typename Loads::TileShapePV>;
  using Kernel = When<cutlass::fmha::kernel::FmhaKernelTmaWarpSpecialized<
      OverlappedMainloop<Loads, Softmax>, Epilogue, cutlass::fmha::kernel::PersistentTileScheduler,
      Groups, Persistent, QueryLoads>>;
  using Operation = cutlass::device::Universal<Kernel>;

  static Strides StrideOf(const HeadStrides& strides) {
    return {static_cast<int>(strides.row), cute::_1{},
            cute::make_tuple(static_cast<int>(strides.batch), static_cast<int>(strides.head))};
  }
};

}  // namespace cogwheel
