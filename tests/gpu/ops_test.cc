// Every operation of a GPU against its CPU twin on the same values in fp32. The process uses GPU 0
// itself.
#include <cmath>
#include <ostream>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/plain_attention.h"
#include "worker/device/device.h"
#include "worker/kernels/attention.h"
#include "worker/kernels/gated_residual.h"
#include "worker/kernels/norm_silu.h"
#include "worker/kernels/qkv_heads.h"

namespace cogwheel {
namespace {

const at::Device kGpu(at::kCUDA, 0);

// Half the relative spacing of a dtype: what one rounding adds.
double Roundoff(at::ScalarType dtype) {
  return dtype == at::kFloat ? 0x1p-24 : dtype == at::kHalf ? 0x1p-11 : 0x1p-8;
}

at::Tensor Wide(const at::Tensor& x) { return x.to(at::kCPU, at::kFloat); }

LayerNormWeights Wide(const LayerNormWeights& norm) {
  return {.weight = Wide(norm.weight), .bias = Wide(norm.bias), .epsilon = norm.epsilon};
}

struct Shape {
  int64_t batch, rows, width, text_count;
};

class GpuOps : public testing::TestWithParam<at::ScalarType> {
 protected:
  GpuOps() : scope_(OpenStream(kGpu)) {}
  at::Tensor Make(at::IntArrayRef sizes, uint64_t seed) const {
    return SeededNormal(sizes, seed).to(kGpu, GetParam());
  }
  LayerNormWeights MakeNorm(int64_t width, double epsilon) const {
    return {.weight = Make({width}, 1), .bias = Make({width}, 2), .epsilon = epsilon};
  }
  // Vectors as the block cuts them: parts of one product with one row for the whole batch.
  std::vector<at::Tensor> MakeModulation(const Shape& shape) const {
    return Make({1, 6 * shape.width}, 3).expand({shape.batch, -1}).chunk(6, 1);
  }
  // The kernel computes in fp32 and rounds once, so beside the twin in fp32 it errs by one
  // rounding of the result, and by what fp32 sums of `terms` terms differ in another order.
  double Bound(const at::Tensor& expected, int64_t terms) const {
    const double size = expected.abs().max().item<double>();
    return size * (Roundoff(GetParam()) + 4 * std::sqrt(double(terms)) * 0x1p-24) * 1.01;
  }
  void ExpectTwin(const at::Tensor& got, const at::Tensor& expected, double bound) const {
    EXPECT_EQ(got.scalar_type(), GetParam());
    EXPECT_LE(LargestDifference(Wide(got), expected), bound) << expected.sizes();
  }

 private:
  const DeviceScope scope_;
};

// Widths of 2b and 5b, of small models, and one that takes ATen's operations; text rows: none,
// some, all.
const Shape kShapes[] = {{2, 37, 1920, 5}, {1, 37, 3072, 0}, {2, 11, 3072, 11},
                         {2, 9, 48, 3},    {3, 5, 384, 2},   {2, 7, 50, 3}};

TEST_P(GpuOps, LayerNormModulate) {
  for (const Shape& s : kShapes) {
    const at::Tensor rows = Make({s.batch, s.rows, s.width}, 7);
    const auto m = MakeModulation(s);
    const LayerNormWeights norm = MakeNorm(s.width, 1e-5);
    const at::Tensor got = LayerNormModulate(rows, s.text_count, norm, {m[0], m[1], m[2], m[3]});
    const at::Tensor expected = LayerNormModulateAten(
        Wide(rows), s.text_count, Wide(norm), {Wide(m[0]), Wide(m[1]), Wide(m[2]), Wide(m[3])});
    // ATen's operations, which serve widths without a kernel, round after each of four steps.
    ExpectTwin(got, expected, Bound(expected, s.width) * (s.width == 50 ? 4 : 1));
  }
}

TEST_P(GpuOps, AddGated) {
  for (const Shape& s : kShapes) {
    at::Tensor rows = Make({s.batch, s.rows, s.width}, 7);
    at::Tensor update = Make({s.batch, s.rows, s.width}, 8);
    const auto m = MakeModulation(s);
    at::Tensor expected = Wide(rows), wide_update = Wide(update);
    AddGatedAten(expected, wide_update, s.text_count, {Wide(m[4]), Wide(m[5])});
    AddGated(rows, update, s.text_count, {m[4], m[5]});
    ExpectTwin(rows, expected, Bound(expected, 2) * (s.width == 50 ? 2 : 1));
  }
}

// The sum is rounded before it is normed, so the twin norms the kernel's own sum.
TEST_P(GpuOps, AddGatedNormModulate) {
  for (const Shape& s : kShapes) {
    at::Tensor rows = Make({s.batch, s.rows, s.width}, 7);
    at::Tensor update = Make({s.batch, s.rows, s.width}, 8);
    const auto m = MakeModulation(s);
    const LayerNormWeights norm = MakeNorm(s.width, 1e-5);
    at::Tensor sum = Wide(rows), wide_update = Wide(update);
    AddGatedAten(sum, wide_update, s.text_count, {Wide(m[4]), Wide(m[5])});
    const at::Tensor normed = AddGatedNormModulate(rows, update, s.text_count, {m[4], m[5]}, norm,
                                                   {m[0], m[1], m[2], m[3]});
    ExpectTwin(rows, sum, Bound(sum, 2) * (s.width == 50 ? 2 : 1));
    const at::Tensor expected = LayerNormModulateAten(
        Wide(rows), s.text_count, Wide(norm), {Wide(m[0]), Wide(m[1]), Wide(m[2]), Wide(m[3])});
    ExpectTwin(normed, expected, Bound(expected, s.width) * (s.width == 50 ? 4 : 1));
  }
}

TEST_P(GpuOps, RowsOfNoneAreLegal) {
  const LayerNormWeights norm = MakeNorm(64, 1e-5);
  const auto m = MakeModulation({2, 0, 64, 0});
  const at::Tensor none = Make({2, 0, 64}, 1);
  EXPECT_EQ(LayerNormModulate(none, 0, norm, {m[0], m[1], m[2], m[3]}).numel(), 0);
}

// Head dimensions 64 (the real models'), others with a kernel, and one without.
TEST_P(GpuOps, ProjectHeads) {
  for (const auto& [heads, dim] :
       {std::pair<int64_t, int64_t>{30, 64}, {3, 16}, {2, 128}, {3, 24}}) {
    const int64_t B = 2, S = 21, E = heads * dim, text_count = 4;
    const QkvWeights weights = {.linear = {.weight = Make({3 * E, E}, 11) / std::sqrt(double(E)),
                                           .bias = Make({3 * E}, 12)},
                                .norm_q = MakeNorm(dim, 1e-6),
                                .norm_k = MakeNorm(dim, 1e-6)};
    const at::Tensor angles = SeededNormal({S - text_count, dim / 2}, 5).repeat_interleave(2, 1);
    const Rotation turn = {.cos = angles.cos().to(kGpu), .sin = angles.sin().to(kGpu)};
    const at::Tensor rows = Make({B, S, E}, 13);
    for (const Rotation& rotation : {turn, Rotation{}}) {
      const Heads got = ProjectHeads(rows, weights, heads, text_count, rotation);
      const QkvWeights wide = {.linear = {Wide(weights.linear.weight), Wide(weights.linear.bias)},
                               .norm_q = Wide(weights.norm_q),
                               .norm_k = Wide(weights.norm_k)};
      const Rotation wide_rotation =
          rotation.cos.defined() ? Rotation{Wide(rotation.cos), Wide(rotation.sin)} : Rotation{};
      const Heads expected = ProjectHeadsAten(Wide(rows), wide, heads, text_count, wide_rotation);
      // q and k: the product is rounded once more before the norm, which scales it to about 1 and
      // then by the weight (up to 4); four more roundings where ATen's operations norm and rotate.
      const double size = expected.q.abs().max().item<double>();
      const double bound = 12 * size * (Roundoff(GetParam()) + 64 * 0x1p-24);
      ExpectTwin(got.q, expected.q, bound);
      ExpectTwin(got.k, expected.k, bound);
      ExpectTwin(got.v, expected.v, Bound(expected.v, E));
    }
  }
}

TEST_P(GpuOps, LinearGelu) {
  const LinearWeights linear = {.weight = Make({256, 96}, 1) / 8, .bias = Make({256}, 2)};
  const at::Tensor x = Make({2, 33, 96}, 3);
  const at::Tensor expected = LinearGeluAten(Wide(x), {Wide(linear.weight), Wide(linear.bias)});
  // Where the library has no such epilogue the product rounds once more; tanh is good to 2^-11 of
  // its argument's size there.
  ExpectTwin(LinearGelu(x, linear), expected, 2 * Bound(expected, 96) + 0x1p-11);
}

// Sizes of the VAE's stages in small: odd and even frames, channels of 4 and 16 to a group, and a
// count without a kernel; without modulation as in the encoder.
TEST_P(GpuOps, NormSiluPadded) {
  const struct {
    int64_t channels, groups, frames, height, width;
  } cases[] = {{128, 32, 9, 12, 20}, {512, 32, 3, 6, 10}, {256, 32, 4, 6, 10}, {6, 3, 3, 6, 10}};
  for (const auto& c : cases) {
    const at::Tensor x = Make({1, c.channels, c.frames, c.height, c.width}, 1) * 3 + 1;
    const GroupNormWeights norm = {
        .weight = Make({c.channels}, 2), .bias = Make({c.channels}, 3), .groups = c.groups};
    const at::Tensor scale = Make({1, c.channels, 3, 3, 5}, 4);
    const at::Tensor shift = Make({1, c.channels, 3, 3, 5}, 5);
    const GroupNormWeights wide = {.weight = Wide(norm.weight),
                                   .bias = Wide(norm.bias),
                                   .groups = c.groups,
                                   .epsilon = norm.epsilon};
    for (const LatentModulation& m : {LatentModulation{scale, shift}, LatentModulation{}}) {
      const LatentModulation wide_m =
          m.scale.defined() ? LatentModulation{Wide(scale), Wide(shift)} : LatentModulation{};
      const at::Tensor expected = NormSiluPaddedAten(Wide(x), wide, wide_m, 0);
      const at::Tensor got = NormSiluPadded(x, norm, m, 2);
      ASSERT_EQ(got.size(2), c.frames + 2);
      // ATen's operations round after each of four steps, and amplify by up to the scale.
      ExpectTwin(got.narrow(2, 2, c.frames), expected,
                 Bound(expected, 4096) * (c.channels == 6 ? 8 : 1) + 0x1p-18);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, GpuOps, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& info) { return at::toString(info.param); });

struct AttentionCase {
  AttentionKernel kernel;
  at::ScalarType dtype;
  friend void PrintTo(const AttentionCase& c, std::ostream* out) {
    *out << static_cast<int>(c.kernel) << " " << at::toString(c.dtype);
  }
};

class GpuAttention : public testing::TestWithParam<AttentionCase> {
 protected:
  GpuAttention() : scope_(OpenStream(kGpu)) {}
  // q, k and v as the block makes them: side by side in one buffer, seen heads first.
  static std::vector<at::Tensor> Operands(int64_t batch, int64_t heads, int64_t rows, int64_t dim,
                                          at::ScalarType dtype) {
    const at::Tensor qkv = SeededNormal({batch, rows, 3, heads, dim}, 4).to(kGpu, dtype);
    return {qkv.select(2, 0).transpose(1, 2), qkv.select(2, 1).transpose(1, 2),
            qkv.select(2, 2).transpose(1, 2)};
  }
  // On top of fp32 arithmetic: each weight is rounded before the second product, and as weights are
  // divided by their sum that error stays below one rounding of max|v|; then the result is rounded.
  // The exponentials of --use_fast_math are good to 2^-21.
  static void ExpectPlain(const AttentionPart& part, const std::vector<at::Tensor>& x) {
    const at::Tensor q = x[0].to(at::kCPU), k = x[1].to(at::kCPU), v = x[2].to(at::kCPU);
    const PlainAttention plain = AttendPlainly(q, k, v);
    const AttentionTolerance fp32 = ToleranceOf(Wide(q), Wide(k), Wide(v));
    const double largest = v.abs().max().item<double>();
    const double roundings = 2 * Roundoff(q.scalar_type()) * largest;
    EXPECT_EQ(part.out.scalar_type(), q.scalar_type());
    EXPECT_LE(LargestDifference(part.out.to(at::kCPU), plain.out),
              fp32.out + roundings + 0x1p-20 * largest);
    EXPECT_LE(LargestDifference(part.lse.to(at::kCPU), plain.lse), fp32.lse + 0x1p-20);
  }

 private:
  const DeviceScope scope_;
};

// Sizes around the kernels' blocks of 64, 128 and 192 rows and 128 keys, keys apart from queries.
TEST_P(GpuAttention, EqualsThePlainFormula) {
  const auto& [kernel, dtype] = GetParam();
  for (const int64_t rows : {1, 7, 64, 129, 192, 193, 389, 1000}) {
    const std::vector<at::Tensor> all = Operands(2, 3, rows + 40, 64, dtype);
    for (const auto& [queries, keys] : {std::pair(rows, rows), {rows, 33L}, {40L, rows}}) {
      SCOPED_TRACE(testing::Message() << queries << " queries, " << keys << " keys");
      const std::vector<at::Tensor> x = {all[0].narrow(2, 0, queries), all[1].narrow(2, 0, keys),
                                         all[2].narrow(2, 0, keys)};
      if (!CanAttend(kernel, x[0], x[1], x[2])) GTEST_SKIP() << "not on this GPU";
      ExpectPlain(AttendWith(kernel, x[0], x[1], x[2]), x);
    }
  }
}

// The largest score so far grows by much from each tile of keys to the next, or falls; with the
// factor of 40 exponentials without a reference leave fp32's range.
TEST_P(GpuAttention, WhereLaterKeysMatterMoreOrLess) {
  const auto& [kernel, dtype] = GetParam();
  const std::vector<at::Tensor> x = Operands(1, 3, 1000, 64, dtype);
  const at::Tensor ramp = at::linspace(0.25, 12, 1000).view({1, 1, -1, 1}).to(kGpu, dtype);
  for (const at::Tensor& sizes : {ramp, ramp.flip(2), ramp * 40}) {
    const std::vector<at::Tensor> sized = {x[0], x[1] * sizes, x[2]};
    if (!CanAttend(kernel, sized[0], sized[1], sized[2])) GTEST_SKIP() << "not on this GPU";
    ExpectPlain(AttendWith(kernel, sized[0], sized[1], sized[2]), sized);
  }
}

// No score of any row is above zero, and most are far below; with the factor of 400 so far that all
// exponentials without a reference are zero.
TEST_P(GpuAttention, WhereEveryScoreIsNegative) {
  const auto& [kernel, dtype] = GetParam();
  const std::vector<at::Tensor> x = Operands(1, 3, 1000, 64, dtype);
  const at::Tensor ramp = at::linspace(0.25, 4, 1000).view({1, 1, -1, 1}).to(kGpu, dtype);
  for (const at::Tensor& sizes : {ramp, ramp.flip(2), ramp * 400}) {
    const std::vector<at::Tensor> sized = {x[0].abs(), x[1].abs() * -sizes, x[2]};
    if (!CanAttend(kernel, sized[0], sized[1], sized[2])) GTEST_SKIP() << "not on this GPU";
    ExpectPlain(AttendWith(kernel, sized[0], sized[1], sized[2]), sized);
  }
}

// The real length: 49 x 480 x 720. Some queries of all heads against the plain formula.
TEST_P(GpuAttention, AtFullLength) {
  const auto& [kernel, dtype] = GetParam();
  if (dtype == at::kFloat) GTEST_SKIP() << "the real models run in half precision";
  const std::vector<at::Tensor> x = Operands(1, 4, 17776, 64, dtype);
  if (!CanAttend(kernel, x[0], x[1], x[2])) GTEST_SKIP() << "not on this GPU";
  const AttentionPart part = AttendWith(kernel, x[0], x[1], x[2]);
  for (const int64_t begin : {0, 8888, 17776 - 16}) {
    ExpectPlain({part.out.narrow(2, begin, 16), part.lse.narrow(2, begin, 16)},
                {x[0].narrow(2, begin, 16), x[1], x[2]});
  }
  const AttentionPart again = AttendWith(kernel, x[0], x[1], x[2]);
  EXPECT_TRUE(at::equal(part.out, again.out) && at::equal(part.lse, again.lse));
}

INSTANTIATE_TEST_SUITE_P(Kernels, GpuAttention,
                         testing::Values(AttentionCase{AttentionKernel::kHopper, at::kBFloat16},
                                         AttentionCase{AttentionKernel::kHopper, at::kHalf},
                                         AttentionCase{AttentionKernel::kCudnn, at::kBFloat16},
                                         AttentionCase{AttentionKernel::kCudnn, at::kHalf},
                                         AttentionCase{AttentionKernel::kMemoryEfficient,
                                                       at::kFloat},
                                         AttentionCase{AttentionKernel::kPlain, at::kFloat},
                                         AttentionCase{AttentionKernel::kPlain, at::kBFloat16}));

}  // namespace
}  // namespace cogwheel
