#include "worker/kernels/attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/plain_attention.h"

namespace cogwheel {
namespace {

struct Operands {
  at::Tensor q, k, v;
};

Operands MakeOperands(at::IntArrayRef q_sizes, int64_t key_count, double logit_scale = 1) {
  std::vector<int64_t> k_sizes = q_sizes.vec();
  k_sizes[2] = key_count;
  return {.q = SeededNormal(q_sizes, 1) * logit_scale,
          .k = SeededNormal(k_sizes, 2),
          .v = SeededNormal(k_sizes, 3)};
}

void ExpectPlain(const AttentionPart& part, const Operands& x) {
  const PlainAttention plain = AttendPlainly(x.q, x.k, x.v);
  const AttentionTolerance tolerance = ToleranceOf(x.q, x.k, x.v);
  EXPECT_EQ(part.out.scalar_type(), x.q.scalar_type());
  EXPECT_EQ(part.lse.scalar_type(), at::kFloat);
  EXPECT_LE(LargestDifference(part.out, plain.out), tolerance.out);
  EXPECT_LE(LargestDifference(part.lse, plain.lse), tolerance.lse);
}

// Sizes on both sides of the kernel's blocks (32, 128, 256, 512 rows and keys), and the smallest.
TEST(AttentionTest, EqualsThePlainFormula) {
  const struct {
    int64_t batch, heads, queries, keys, dim;
  } cases[] = {{1, 1, 1, 1, 8},     {2, 3, 5, 7, 16},   {1, 5, 33, 1, 64}, {1, 2, 1, 129, 64},
               {2, 1, 130, 31, 32}, {1, 2, 40, 600, 8}, {1, 3, 19, 23, 5}};
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::Message() << c.queries << " queries, " << c.keys << " keys");
    const Operands x = MakeOperands({c.batch, c.heads, c.queries, c.dim}, c.keys);
    ExpectPlain(Attend(x.q, x.k, x.v), x);
  }
}

// Logits of some hundreds overflow exp in fp32 unless the largest is taken off first.
TEST(AttentionTest, LargeLogits) {
  const Operands x = MakeOperands({1, 2, 17, 64}, 70, /*logit_scale=*/100);
  EXPECT_GT(AttendPlainly(x.q, x.k, x.v).lse.max().item<double>(), 150);
  ExpectPlain(Attend(x.q, x.k, x.v), x);
}

TEST(AttentionTest, TakesBf16) {
  Operands x = MakeOperands({1, 2, 33, 64}, 70);
  for (at::Tensor* t : {&x.q, &x.k, &x.v}) *t = t->to(at::kBFloat16);
  ExpectPlain(Attend(x.q, x.k, x.v), x);
}

// The exchange hands over [B, S, N, D] seen as [B, N, S, D]; a caller may also hold D outermost.
TEST(AttentionTest, TakesAnyStrides) {
  const Operands x = MakeOperands({2, 3, 9, 16}, 11);
  const auto heads_inside = [](const at::Tensor& t) {
    return t.transpose(1, 2).contiguous().transpose(1, 2);
  };
  const auto dim_outside = [](const at::Tensor& t) {
    return t.permute({3, 0, 1, 2}).contiguous().permute({1, 2, 3, 0});
  };
  ExpectPlain(Attend(heads_inside(x.q), heads_inside(x.k), heads_inside(x.v)), x);
  ExpectPlain(Attend(dim_outside(x.q), dim_outside(x.k), dim_outside(x.v)), x);
}

TEST(AttentionTest, RefusesShapesThatDoNotMatch) {
  const at::Tensor q = at::zeros({1, 2, 3, 8}), k = at::zeros({1, 2, 4, 8});
  EXPECT_THROW(Attend(q, k, at::zeros({1, 2, 5, 8})), c10::Error);
  EXPECT_THROW(Attend(q, at::zeros({1, 3, 4, 8}), at::zeros({1, 3, 4, 8})), c10::Error);
  EXPECT_THROW(Attend(q, k.narrow(2, 0, 0), k.narrow(2, 0, 0)), c10::Error);
}

at::Tensor MergeBlocks(const Operands& x, const std::vector<int64_t>& block_sizes) {
  AttentionMerge merge;
  int64_t begin = 0;
  for (const int64_t size : block_sizes) {
    merge.Add(Attend(x.q, x.k.narrow(2, begin, size), x.v.narrow(2, begin, size)));
    begin += size;
  }
  return merge.Result(x.q.scalar_type());
}

TEST(AttentionMergeTest, PartsOverDisjointKeysGiveTheWhole) {
  const Operands x = MakeOperands({2, 3, 13, 16}, 40);
  const at::Tensor plain = AttendPlainly(x.q, x.k, x.v).out;
  // Each merge rounds twice more: exp, product and sum of two terms (8 u is ample).
  const double tolerance = ToleranceOf(x.q, x.k, x.v).out;
  for (const std::vector<int64_t>& blocks :
       {std::vector<int64_t>{40}, {20, 20}, {1, 39}, {13, 13, 14}, {37, 1, 1, 1}}) {
    const double merges = 8 * std::ldexp(1.0, -24) * static_cast<double>(blocks.size()) *
                          x.v.abs().max().item<double>();
    EXPECT_LE(LargestDifference(MergeBlocks(x, blocks), plain), tolerance + merges);
  }
}

// Nearly all of the weight in one block, first or last: the other must vanish and not be NaN.
TEST(AttentionMergeTest, OneBlockOutweighsTheOther) {
  Operands x = MakeOperands({1, 1, 6, 8}, 10);
  x.q.fill_(10);
  for (const int64_t heavy : {0, 5}) {
    x.k.fill_(-10);
    x.k.narrow(2, heavy, 5).fill_(10);
    const at::Tensor merged = MergeBlocks(x, {5, 5});
    const at::Tensor mean = x.v.narrow(2, heavy, 5).mean(2, /*keepdim=*/true).expand_as(merged);
    EXPECT_LE(LargestDifference(merged, mean),
              16 * std::ldexp(1.0, -24) * x.v.abs().max().item<double>());
  }
}

TEST(AttentionMergeTest, OnePartPassesThroughUnchanged) {
  const Operands x = MakeOperands({1, 2, 5, 16}, 9);
  EXPECT_TRUE(at::equal(MergeBlocks(x, {9}), Attend(x.q, x.k, x.v).out));
}

TEST(AttentionMergeTest, NothingMergedHasNoResult) {
  const AttentionMerge merge;
  EXPECT_TRUE(merge.empty());
  EXPECT_THROW(merge.Result(at::kFloat), c10::Error);
}

}  // namespace
}  // namespace cogwheel
