#include "worker/pipeline/finite.h"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

bool Finite(const at::Tensor& values) { return AllFinite(values).item<bool>(); }

// Wherever one value is, in whatever dtype and layout: odd sizes leave a rest behind the vectors.
TEST(AllFiniteTest, OneValueIsEnough) {
  for (const at::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const at::Tensor values = at::linspace(-3, 3, 1003).to(dtype);
    EXPECT_TRUE(Finite(values)) << dtype;
    for (const double value : {std::nan(""), -std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      for (const int64_t at : {0, 500, 1002}) {
        const at::Tensor spoilt = values.clone();
        spoilt[at] = value;
        EXPECT_FALSE(Finite(spoilt)) << dtype << " " << value << " at " << at;
        EXPECT_FALSE(Finite(spoilt.view({17, 59}).t())) << dtype << " " << value << " at " << at;
      }
    }
  }
}

// No sum of theirs would be.
TEST(AllFiniteTest, LargeValuesAreFinite) {
  EXPECT_TRUE(Finite(at::full({1000}, std::numeric_limits<float>::max())));
  EXPECT_TRUE(Finite(at::full({1000}, 65504, at::TensorOptions(at::kHalf))));
}

TEST(AllFiniteTest, NoRowsAreFinite) { EXPECT_TRUE(Finite(at::empty({1, 0, 64}))); }

}  // namespace
}  // namespace cogwheel
