#pragma once

#include <type_traits>

#include <cutlass/bfloat16.h>
#include <cutlass/cutlass.h>
#include <collective/fmha_collective_tma_warpspecialized.hpp>
#include <cute/tensor.hpp>

#include "worker/kernels/row_softmax.cuh"

namespace cogwheel {

template <typename Element>
__device__ inline uint32_t PackPair(float low, float high) {
  uint32_t pair;
  if constexpr (std::is_same_v<Element, cutlass::bfloat16_t>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  }
  return pair;
}

// One tile of 64 query rows of a math warp group against all keys, 128 at a time. The scores of the
// next keys are started before the values of these are added up, so the tensor cores have both.
template <typename Loads, typename Softmax, typename Turn, typename Q, typename K, typename V>
struct QueryTile {
  using Element = typename Loads::Element;
  using Keys = cute::tuple_element_t<1, typename Loads::TileShapeQK>;  // of a tile, a constant
  using ScoreMma = typename Loads::TiledMmaQK;
  using ValueMma = typename Loads::TiledMmaPV;
  using Scores = decltype(cute::partition_fragment_C(
      ScoreMma{}, cute::take<0, 2>(typename Loads::TileShapeQK{})));
  using Out = decltype(cute::partition_fragment_C(ValueMma{},
                                                  cute::take<0, 2>(typename Loads::TileShapePV{})));
  using Weights = decltype(cute::make_fragment_like<Element>(
      cutlass::fmha::collective::convert_c_layout_to_a_layout(
          Scores{}.layout(), cute::shape<1>(typename ValueMma::LayoutA_TV{}))));

  typename Loads::MainloopPipeline& tiles;  // keys of tile 0, its values, keys of tile 1, ...
  typename Loads::PipelineState& value;     // where in it the values are that come next
  Turn& turn;                               // on the tensor cores, among the math warp groups
  const Q q;
  const K k;
  const V v;
  const int thread, key_count;
  Softmax softmax;
  ScoreMma score_mma;
  ValueMma value_mma;
  Weights weights;
  Out out;
  bool exact = true;  // known after the last tile

  // `value` is at the keys of tile 0.
  __device__ void First() {
    Scores scores;
    tiles.consumer_wait(value);
    turn.wait();
    StartScores(scores, value.index());
    turn.arrive();
    cute::warpgroup_wait<0>();
    cute::warpgroup_fence_operand(scores);
    tiles.consumer_release(value);
    ++value;
    Mask(scores, 0);
    auto rows = Rows(score_mma, scores);
    softmax.MoveReference(rows);
    softmax.Exponentiate(rows);
    Pack(scores);
    value_mma.accumulate_ = cute::GMMA::ScaleOut::Zero;  // the first sum begins at nothing
  }

  template <bool kIsLast>
  __device__ void Next(int tile) {
    auto key = value;
    ++key;
    Scores scores;
    turn.wait();
    tiles.consumer_wait(key);
    StartScores(scores, key.index());
    tiles.consumer_wait(value);
    StartSum();
    turn.arrive();
    cute::warpgroup_wait<1>();
    cute::warpgroup_fence_operand(scores);
    tiles.consumer_release(key);
    if constexpr (kIsLast) Mask(scores, tile * Keys{});
    auto rows = Rows(score_mma, scores);
    const bool moved = softmax.MoveReference(rows);
    softmax.Exponentiate(rows);
    EndSum();
    if (moved) ScaleOut([this](int row) { return softmax.Factor(row); });
    Pack(scores);
    ++value;
    ++value;
  }

  // Adds the last values and ends the softmax; returns the rows' log-sum-exp.
  template <typename ReleaseQueries>
  __device__ auto Last(const ReleaseQueries& release_queries) {
    tiles.consumer_wait(value);
    StartSum();
    release_queries();
    EndSum();
    ++value;
    cute::Tensor lse = cute::make_tensor<float>(cute::Int<kRowsOfThread>{});
    float inverse[kRowsOfThread];
#pragma unroll
    for (int row = 0; row < kRowsOfThread; ++row) {
      const float sum = softmax.Sum(row);
      lse(row) = softmax.LogSumExp(row, sum);
      exact = exact && Softmax::IsExact(sum);
      inverse[row] = __frcp_rn(sum);
    }
    ScaleOut([&inverse](int row) { return inverse[row]; });
    return lse;
  }

 private:
  // A thread's results of a product as [2 rows, columns].
  template <typename Mma, typename Result>
  __device__ static auto Rows(const Mma& mma, Result& result) {
    return cute::make_tensor(result.data(),
                             cutlass::fmha::collective::layout_acc_mn(mma, result.layout()));
  }

  __device__ void StartScores(Scores& scores, int stage) {
    cute::warpgroup_fence_operand(scores);
    cute::warpgroup_arrive();
    cutlass::fmha::collective::gemm_zero_acc(score_mma, q, k(cute::_, cute::_, cute::_, stage),
                                             scores);
    cute::warpgroup_commit_batch();
  }

  __device__ void StartSum() {
    cute::warpgroup_fence_operand(out);
    cute::warpgroup_fence_operand(weights);
    cute::warpgroup_arrive();
    cutlass::fmha::collective::gemm_reset_zero_acc(
        value_mma, weights, v(cute::_, cute::_, cute::_, value.index()), out);
    cute::warpgroup_commit_batch();
  }

  __device__ void EndSum() {
    cute::warpgroup_wait<0>();
    cute::warpgroup_fence_operand(out);
    cute::warpgroup_fence_operand(weights);
    tiles.consumer_release(value);
  }

  // Keys from key_count on take no part.
  __device__ void Mask(Scores& scores, int first_key) const {
    const auto place = score_mma.get_thread_slice(thread).partition_C(
        cute::make_identity_tensor(cute::take<0, 2>(typename Loads::TileShapeQK{})));
#pragma unroll
    for (int i = 0; i < cute::size(scores); ++i) {
      if (cute::get<1>(place(i)) + first_key >= key_count) scores(i) = -INFINITY;
    }
  }

  // The weights as the other product's operand: a thread's values in the same order, in pairs.
  __device__ void Pack(const Scores& scores) {
    cute::Tensor pairs = cute::recast<uint32_t>(
        cute::make_tensor(weights.data(), cute::make_layout(cute::size(weights))));
#pragma unroll
    for (int i = 0; i < cute::size(pairs); ++i) {
      pairs(i) = PackPair<Element>(scores.data()[2 * i], scores.data()[2 * i + 1]);
    }
  }

  template <typename Factor>
  __device__ void ScaleOut(const Factor& factor) {
    auto rows = Rows(value_mma, out);
#pragma unroll
    for (int row = 0; row < kRowsOfThread; ++row) {
#pragma unroll
      for (int i = 0; i < cute::size<1>(rows); ++i) rows(row, i) *= factor(row);
    }
  }
};

// What CUTLASS's kernel has a math warp group do; Loads is CUTLASS's mainloop, whose part for the
// loading warps stays as it is. The groups start their products in turn, so that one has the tensor
// cores while the others take exponentials (after FlashAttention-3, section 3).
template <typename Loads, typename Softmax>
struct OverlappedMainloop : Loads {
  struct Params : Loads::Params {
    int* inexact;  // becomes 1 when the softmax was not exact for some row
  };

  // CUTLASS hands the caller's workspace through: here the place of `inexact`.
  template <typename ProblemShape>
  static Params to_underlying_arguments(const ProblemShape& problem,
                                        const typename Loads::Arguments& arguments,
                                        void* workspace) {
    return {Loads::to_underlying_arguments(problem, arguments, nullptr),
            static_cast<int*>(workspace)};
  }

  // Returns out [64, 64] and its rows' log-sum-exp.
  template <typename BlockCoord, typename ProblemShape, typename NoPipeline, typename NoState,
            typename Turn>
  __device__ auto compute(const BlockCoord&, const BlockCoord&, const Params& params,
                          const ProblemShape& problem, typename Loads::MainloopPipeline& tiles,
                          typename Loads::PipelineState& value,
                          typename Loads::MainloopPipelineQ& queries,
                          typename Loads::PipelineStateQ& query, NoPipeline&, NoState&,
                          typename Loads::SharedStorage& storage, Turn& turn) {
    using namespace cute;
    const int thread = static_cast<int>(threadIdx.x) % cutlass::NumThreadsPerWarpGroup;
    const auto scores = typename Loads::TiledMmaQK{}.get_thread_slice(thread);
    const auto values = typename Loads::TiledMmaPV{}.get_thread_slice(thread);
    const Tensor q_tiles =
        make_tensor(make_smem_ptr(storage.smem_q.data()), typename Loads::SmemLayoutQ{});
    const Tensor k_tiles =
        make_tensor(make_smem_ptr(storage.smem_k.data()), typename Loads::SmemLayoutK{});
    const Tensor v_tiles =
        make_tensor(make_smem_ptr(storage.smem_v.data()), typename Loads::SmemLayoutV{});
    queries.consumer_wait(query);
    const Tensor q = scores.make_fragment_A(scores.partition_A(q_tiles))(_, _, _, query.index());
    const Tensor k = scores.make_fragment_B(scores.partition_B(k_tiles));
    const Tensor v = values.make_fragment_B(values.partition_B(v_tiles));
    using Tile = QueryTile<Loads, Softmax, Turn, std::remove_const_t<decltype(q)>,
                           std::remove_const_t<decltype(k)>, std::remove_const_t<decltype(v)>>;
    const int key_count = get<3>(problem);
    Tile tile{tiles,  value,     turn,
              q,      k,         v,
              thread, key_count, Softmax(params.scale_softmax, params.scale_softmax_log2)};

    const int tile_count = ceil_div(key_count, typename Tile::Keys{});
    tile.First();
    CUTLASS_PRAGMA_NO_UNROLL
    for (int i = 1; i < tile_count - 1; ++i) tile.template Next<false>(i);
    if (tile_count > 1) tile.template Next<true>(tile_count - 1);
    const Tensor lse = tile.Last([&] { queries.consumer_release(query); });
    if (!tile.exact) *params.inexact = 1;
    return make_tuple(tile.out, lse);
  }
};

}  // namespace cogwheel
