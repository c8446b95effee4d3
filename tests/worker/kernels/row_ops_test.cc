// The transformer's row-wise operations against their formulas in double.
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "worker/kernels/gated_residual.h"
#include "worker/kernels/layer_norm_modulate.h"
#include "worker/kernels/linear.h"
#include "worker/kernels/qk_norm_rope.h"

namespace cogwheel {
namespace {

constexpr int64_t B = 2, S = 7, E = 48, N = 3, D = 16;

// Relative spacing of a dtype: one rounding errs by at most half of it.
double Epsilon(at::ScalarType dtype) {
  return dtype == at::kFloat ? 0x1p-23 : dtype == at::kHalf ? 0x1p-10 : 0x1p-7;
}

at::Tensor Random(at::IntArrayRef shape, uint64_t seed, at::ScalarType dtype) {
  return at::randn(shape, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kFloat))
      .to(dtype);
}

at::Tensor Double(const at::Tensor& tensor) { return tensor.to(at::kDouble); }

// Plain LayerNorm over the last axis in double.
at::Tensor Norm(const at::Tensor& rows, const LayerNormWeights& norm) {
  const at::Tensor x = Double(rows);
  const at::Tensor centred = x - x.mean(-1, /*keepdim=*/true);
  const at::Tensor variance = centred.pow(2).mean(-1, /*keepdim=*/true);
  return centred / (variance + norm.epsilon).sqrt() * Double(norm.weight) + Double(norm.bias);
}

double LargestDifference(const at::Tensor& value, const at::Tensor& expected) {
  return (Double(value) - expected).abs().max().item<double>();
}

class RowOps : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::set_num_threads(1); }
  at::Tensor Make(at::IntArrayRef shape, uint64_t seed) const {
    return Random(shape, seed, GetParam());
  }
  LayerNormWeights MakeNorm(int64_t width, double epsilon) const {
    return {.weight = Make({width}, 1), .bias = Make({width}, 2), .epsilon = epsilon};
  }
  double epsilon() const { return Epsilon(GetParam()); }
};

// Text rows first; no text rows, no video rows and no rows at all are legal.
TEST_P(RowOps, LayerNormModulateByRowKind) {
  const LayerNormWeights norm = MakeNorm(E, 1e-5);
  const RowModulation m = {.text_shift = Make({B, E}, 3),
                           .text_scale = Make({B, E}, 4),
                           .video_shift = Make({B, E}, 5),
                           .video_scale = Make({B, E}, 6)};
  const at::Tensor rows = Make({B, S, E}, 7);
  for (const int64_t text_count : {int64_t{3}, int64_t{0}, S}) {
    const at::Tensor out = LayerNormModulate(rows, text_count, norm, m);
    EXPECT_EQ(out.scalar_type(), GetParam());
    const at::Tensor is_text = (at::arange(S) < text_count).view({1, S, 1});
    const at::Tensor scale =
        at::where(is_text, Double(m.text_scale).unsqueeze(1), Double(m.video_scale).unsqueeze(1));
    const at::Tensor shift =
        at::where(is_text, Double(m.text_shift).unsqueeze(1), Double(m.video_shift).unsqueeze(1));
    const at::Tensor expected = Norm(rows, norm) * (1 + scale) + shift;
    // Roundings of the norm, of 1 + scale, of the product and of the sum, each half an epsilon of a
    // term no larger than the largest product plus the largest shift; fp32 statistics add as much.
    const double size =
        (Norm(rows, norm).abs() * (1 + scale).abs() + shift.abs()).max().item<double>();
    EXPECT_LT(LargestDifference(out, expected), 3 * epsilon() * size) << text_count;
  }
  EXPECT_EQ(LayerNormModulate(rows.narrow(1, 0, 0), 0, norm, m).sizes(),
            at::IntArrayRef({B, 0, E}));
}

// The modulation of half precision rounds after each of its three steps, as the reference does.
TEST(RowOpsHalf, ModulationRoundsAfterEachStep) {
  const auto half = at::TensorOptions(at::kHalf);
  const LayerNormWeights norm = {.weight = at::zeros({2}, half), .bias = at::full({2}, 3.0, half)};
  // The norm gives 3 everywhere. 1 + 2^-11 is a tie of fp16 and rounds to 1; 3 + 2^-10 is one and
  // rounds to 3. With one rounding at the end, 3 + 3 · 2^-11 + 2^-10 would give 3 + 2^-9.
  const at::Tensor scale = at::full({1, 2}, std::ldexp(1.0, -11), half);
  const at::Tensor shift = at::full({1, 2}, std::ldexp(1.0, -10), half);
  const at::Tensor rows = at::arange(2, half).view({1, 1, 2});
  const at::Tensor out =
      LayerNormModulate(rows, 0, norm, {.video_shift = shift, .video_scale = scale});
  EXPECT_EQ(out[0][0][0].item<double>(), 3.0);
}

TEST_P(RowOps, QkNormRopeRotatesAdjacentPairsOfVideoRows) {
  const LayerNormWeights norm = MakeNorm(D, 1e-6);
  const at::Tensor heads = Make({B, S, N, D}, 8);
  for (const int64_t text_count : {int64_t{3}, int64_t{0}, S}) {
    const int64_t V = S - text_count;
    const at::Tensor angle = Random({V, D / 2}, 9, at::kFloat).repeat_interleave(2, /*dim=*/1);
    const Rotation rotation = {.cos = angle.cos(), .sin = angle.sin()};
    const at::Tensor out = QkNormRope(heads, text_count, norm, rotation);
    at::Tensor expected = Norm(heads, norm);
    const double size = expected.abs().max().item<double>();
    const at::Tensor normed = expected.clone();
    for (int64_t v = 0; v < V; ++v) {
      for (int64_t i = 0; i < D / 2; ++i) {
        const double cos = rotation.cos[v][2 * i].item<double>();
        const double sin = rotation.sin[v][2 * i].item<double>();
        const at::Tensor even = normed.select(1, text_count + v).select(-1, 2 * i);
        const at::Tensor odd = normed.select(1, text_count + v).select(-1, 2 * i + 1);
        expected.select(1, text_count + v).select(-1, 2 * i).copy_(even * cos - odd * sin);
        expected.select(1, text_count + v).select(-1, 2 * i + 1).copy_(odd * cos + even * sin);
      }
    }
    // Two roundings to the dtype (norm, rotation); a rotation grows an entry by at most sqrt 2.
    EXPECT_LT(LargestDifference(out, expected), 3 * epsilon() * std::sqrt(2.0) * size)
        << text_count;
  }
  const at::Tensor plain = QkNormRope(heads, 3, norm, {});
  EXPECT_LT(LargestDifference(plain, Norm(heads, norm)),
            2 * epsilon() * Norm(heads, norm).abs().max().item<double>());
}

TEST_P(RowOps, AddGatedByRowKind) {
  const RowGates gates = {.text = Make({B, E}, 10), .video = Make({B, E}, 11)};
  const at::Tensor residual = Make({B, S, E}, 12), update = Make({B, S, E}, 13);
  for (const int64_t text_count : {int64_t{2}, int64_t{0}, S}) {
    at::Tensor sum = residual.clone(), scratch = update.clone();
    AddGated(sum, scratch, text_count, gates);
    const at::Tensor is_text = (at::arange(S) < text_count).view({1, S, 1});
    const at::Tensor gate =
        at::where(is_text, Double(gates.text).unsqueeze(1), Double(gates.video).unsqueeze(1));
    const at::Tensor product = gate * Double(update);
    const double size = (product.abs() + Double(residual).abs()).max().item<double>();
    EXPECT_LT(LargestDifference(sum, Double(residual) + product), epsilon() * size) << text_count;
  }
}

TEST_P(RowOps, LinearAndTanhGelu) {
  const LinearWeights linear = {.weight = Make({E, D}, 14), .bias = Make({E}, 15)};
  const at::Tensor x = Make({B, S, D}, 16);
  const at::Tensor expected =
      at::matmul(Double(x), Double(linear.weight).t()) + Double(linear.bias);
  // Sums of D products in fp32, then one rounding.
  const double size =
      (at::matmul(Double(x).abs(), Double(linear.weight).abs().t()) + Double(linear.bias).abs())
          .max()
          .item<double>();
  const double tolerance = (epsilon() + D * 0x1p-23) * size;
  EXPECT_LT(LargestDifference(Linear(x, linear), expected), tolerance);
  const at::Tensor inner = std::sqrt(2 / M_PI) * (expected + 0.044715 * expected.pow(3));
  const at::Tensor gelu = 0.5 * expected * (1 + inner.tanh());
  // The slope of GELU is at most 1.13; a second rounding of the result.
  EXPECT_LT(LargestDifference(LinearGelu(x, linear), gelu), 2.2 * tolerance);
  EXPECT_EQ(LinearGelu(x.narrow(1, 0, 0), linear).sizes(), at::IntArrayRef({B, 0, E}));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, RowOps, testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& info) { return std::string(at::toString(info.param)); });

// The tanh form differs from the exact one by up to 5e-4: a test in fp32 must tell them apart.
TEST(RowOpsFloat, GeluIsTheTanhForm) {
  const LinearWeights same = {.weight = at::eye(2), .bias = at::zeros({2})};
  const at::Tensor x = at::tensor({-2.0, 2.0}, at::TensorOptions(at::kFloat)).view({1, 2});
  const double inner = std::sqrt(2 / M_PI) * (2 + 0.044715 * 8);
  const double tanh_form = 0.5 * 2 * (1 + std::tanh(inner));
  const double exact = 0.5 * 2 * (1 + std::erf(2 / std::sqrt(2.0)));
  ASSERT_GT(std::abs(tanh_form - exact), 1e-5);
  EXPECT_NEAR(LinearGelu(x, same)[0][1].item<double>(), tanh_form, 1e-6);
}

TEST(RowOpsContract, OtherShapesAndDtypesAreRefused) {
  const at::Tensor rows = at::zeros({B, S, E});
  const LayerNormWeights norm = {.weight = at::ones({E}), .bias = at::zeros({E})};
  const RowModulation video_only = {.video_shift = at::zeros({B, E}),
                                    .video_scale = at::zeros({B, E})};
  EXPECT_NO_THROW(LayerNormModulate(rows, 0, norm, video_only));
  EXPECT_ANY_THROW(LayerNormModulate(rows, 1, norm, video_only));
  EXPECT_ANY_THROW(LayerNormModulate(rows, S + 1, norm, video_only));
  EXPECT_ANY_THROW(LayerNormModulate(rows.to(at::kHalf), 0, norm, video_only));
  EXPECT_ANY_THROW(LayerNormModulate(rows.narrow(2, 0, E - 1), 0, norm, video_only));
  at::Tensor residual = at::zeros({B, S, E}), short_update = at::zeros({B, S - 1, E});
  EXPECT_ANY_THROW(AddGated(residual, short_update, 0, {.video = at::zeros({B, E})}));
  const LinearWeights linear = {.weight = at::zeros({4, E}), .bias = at::zeros({4})};
  EXPECT_ANY_THROW(Linear(at::zeros({2, E + 1}), linear));
  const at::Tensor heads = at::zeros({B, S, N, D});
  const LayerNormWeights head_norm = {.weight = at::ones({D}), .bias = at::zeros({D})};
  EXPECT_ANY_THROW(QkNormRope(heads, 2, head_norm, {at::zeros({S, D}), at::zeros({S, D})}));
  EXPECT_ANY_THROW(QkNormRope(heads.transpose(1, 2), 2, head_norm, {}));
}

}  // namespace
}  // namespace cogwheel
