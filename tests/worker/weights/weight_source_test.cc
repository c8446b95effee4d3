// Weights on their way into tensors: dtypes, unaligned data, and errors with everything one needs.
#include "worker/weights/weight_source.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "worker/device/cpu_threads.h"

namespace cogwheel {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

void Append(std::string& bytes, const at::Tensor& tensor) {
  bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
}

class WeightsFile : public testing::Test {
 protected:
  void SetUp() override {
    values_ =
        at::tensor({1.0, -2.5, 0.333251953125, 65504.0, 3e-5, 0.0}, at::TensorOptions(at::kFloat))
            .view({2, 3});
    // One byte first, so that nothing behind it is aligned.
    std::string bytes = SafetensorsHeader({{"pad", TensorDtype::kU8, {1}},
                                           {"f32", TensorDtype::kF32, {2, 3}},
                                           {"f16", TensorDtype::kF16, {2, 3}},
                                           {"bf16", TensorDtype::kBf16, {2, 3}}}) +
                        "x";
    Append(bytes, values_);
    Append(bytes, values_.to(at::kHalf));
    Append(bytes, values_.to(at::kBFloat16));
    std::ofstream(folder_.path() + "/diffusion_pytorch_model.safetensors", std::ios::binary)
        << bytes;
  }
  TemporaryFolder folder_;
  at::Tensor values_;
};

TEST_F(WeightsFile, LoadConvertsEveryStoredDtype) {
  const WeightFiles weights(folder_.path());
  EXPECT_TRUE(at::equal(weights.Load("f32", {2, 3}, at::kCPU, at::kFloat), values_));
  EXPECT_TRUE(at::equal(weights.Load("f16", {2, 3}, at::kCPU, at::kFloat),
                        values_.to(at::kHalf).to(at::kFloat)));
  EXPECT_TRUE(at::equal(weights.Load("bf16", {2, 3}, at::kCPU, at::kFloat),
                        values_.to(at::kBFloat16).to(at::kFloat)));
  EXPECT_TRUE(
      at::equal(weights.Load("f32", {2, 3}, at::kCPU, at::kBFloat16), values_.to(at::kBFloat16)));
  EXPECT_TRUE(weights.Has("f16"));
  EXPECT_FALSE(weights.Has("f64"));
}

TEST_F(WeightsFile, ErrorsNameFileTensorAndShapes) {
  const WeightFiles weights(folder_.path());
  EXPECT_THAT(
      [&] {
        weights.Load("f32", {3, 2}, at::kCPU, at::kFloat);
      },
      ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("diffusion_pytorch_model.safetensors"),
                                                 HasSubstr("f32"), HasSubstr("[2, 3]"),
                                                 HasSubstr("[3, 2]"))));
  EXPECT_THAT([&] { weights.Load("gone", {1}, at::kCPU, at::kFloat); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr(folder_.path()), HasSubstr("gone"), HasSubstr("missing"))));
}

// As a network: many tensors, most of them of a few bytes, some of several pieces and threads.
TEST(WeightsTest, LoadsManyTensorsOfAnySizeOnSeveralThreads) {
  constexpr int64_t kPieceBytes = 4 << 20;
  std::vector<TensorPlan> plans;
  for (int64_t i = 0; i < 500; ++i) {
    plans.push_back({"small." + std::to_string(i), TensorDtype::kF32, {i % 7}});
  }
  for (const int64_t bytes : {kPieceBytes - 1, kPieceBytes, 3 * kPieceBytes + 5}) {
    plans.push_back({"large." + std::to_string(bytes), TensorDtype::kU8, {bytes}});
  }
  const TemporaryFolder folder;
  std::ofstream file(folder.path() + "/model.safetensors", std::ios::binary);
  const std::string header = SafetensorsHeader(plans);
  file << header;
  std::vector<at::Tensor> expected;
  for (const TensorPlan& plan : plans) {
    expected.push_back(
        at::randint(0, 256, plan.shape, at::TensorOptions(ScalarTypeOf(plan.dtype))));
    file.write(static_cast<const char*>(expected.back().const_data_ptr()),
               static_cast<std::streamsize>(expected.back().nbytes()));
  }
  const auto bytes = static_cast<int64_t>(file.tellp()) - std::ssize(header);
  file.close();
  SetCpuThreads(3);
  const auto read_bytes = std::make_shared<std::atomic<int64_t>>(0);
  const WeightFiles weights(folder.path(), read_bytes);
  for (size_t i = 0; i < plans.size(); ++i) {
    const at::Tensor loaded =
        weights.Load(plans[i].name, plans[i].shape, at::kCPU, expected[i].scalar_type());
    EXPECT_TRUE(at::equal(loaded, expected[i])) << plans[i].name;
  }
  EXPECT_EQ(*read_bytes, bytes);
}

TEST_F(WeightsFile, AFileCutOffWhileItLoadsIsAnErrorThatNamesIt) {
  const WeightFiles weights(folder_.path());
  const std::string path = folder_.path() + "/diffusion_pytorch_model.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_TRUE(at::equal(weights.Load("f32", {2, 3}, at::kCPU, at::kFloat), values_));
  EXPECT_THAT(
      [&] {
        weights.Load("bf16", {2, 3}, at::kCPU, at::kFloat);
      },
      ThrowsMessage<ReadError>(
          AllOf(HasSubstr("diffusion_pytorch_model.safetensors"), HasSubstr("ends at"))));
}

}  // namespace
}  // namespace cogwheel
