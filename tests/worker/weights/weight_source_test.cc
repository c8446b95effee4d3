// Weights on their way into tensors: dtypes, unaligned data, and errors with everything one needs.
#include "worker/weights/weight_source.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crc32c.h"
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
  const WeightFiles weights({folder_.path()});
  EXPECT_TRUE(at::equal(weights.Load("f32", {2, 3}, at::kCPU, at::kFloat), values_));
  EXPECT_TRUE(at::equal(weights.Load("f16", {2, 3}, at::kCPU, at::kFloat),
                        values_.to(at::kHalf).to(at::kFloat)));
  EXPECT_TRUE(at::equal(weights.Load("bf16", {2, 3}, at::kCPU, at::kFloat),
                        values_.to(at::kBFloat16).to(at::kFloat)));
  EXPECT_TRUE(
      at::equal(weights.Load("f32", {2, 3}, at::kCPU, at::kBFloat16), values_.to(at::kBFloat16)));
  EXPECT_TRUE(weights.Has("f16"));
  EXPECT_FALSE(weights.Has("f32.bias"));
}

// As the reference's .to(): F64 goes to halves by way of fp32 (torch 2.11.0); 8-bit values are
// exact in every wider type.
TEST_F(WeightsFile, LoadConvertsWhateverHoldsWeights) {
  std::string bytes = SafetensorsHeader({{"pad", TensorDtype::kBool, {1}},
                                         {"f64", TensorDtype::kF64, {3}},
                                         {"e4m3", TensorDtype::kF8E4m3, {4}},
                                         {"e5m2", TensorDtype::kF8E5m2, {4}}}) +
                      '\1';
  // 1 + 2^-11 + 2^-30 lies above the middle of two halves; rounded to fp32 first, on it.
  // it.
  Append(bytes, at::tensor({1 + 0x1p-11 + 0x1p-30, 0.1, -3.0}, at::TensorOptions(at::kDouble)));
  bytes += std::string("\x38\xba\x01\x7e", 4);  // 1, -1.25, the smallest 2^-9, the largest 448
  bytes += std::string("\x3c\xbd\x01\x7b", 4);  // 1, -1.25, the smallest 2^-16, the largest 57344
  const TemporaryFolder folder;
  std::ofstream(folder.path() + "/diffusion_pytorch_model.safetensors", std::ios::binary) << bytes;
  const WeightFiles weights({folder.path()});
  const auto load = [&](const char* name, int64_t count, at::ScalarType dtype) {
    return weights.Load(name, {count}, at::kCPU, dtype).to(at::kDouble);
  };
  const auto expected = [](const std::vector<double>& values) {
    return at::tensor(values, at::TensorOptions(at::kDouble));
  };
  EXPECT_TRUE(at::equal(load("f64", 3, at::kFloat), expected({1 + 0x1p-11, 0.1f, -3})));
  EXPECT_TRUE(at::equal(load("f64", 3, at::kHalf), expected({1, 0x1.998p-4, -3})));
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    EXPECT_TRUE(at::equal(load("e4m3", 4, dtype), expected({1, -1.25, 0x1p-9, 448})));
    EXPECT_TRUE(at::equal(load("e5m2", 4, dtype), expected({1, -1.25, 0x1p-16, 57344})));
  }
}

TEST_F(WeightsFile, DtypesThatHoldNoWeightsAreRefusedByNameWhereTheyAreNeeded) {
  for (const TensorDtype dtype :
       {TensorDtype::kBool, TensorDtype::kI8, TensorDtype::kU8, TensorDtype::kI64,
        TensorDtype::kU16, TensorDtype::kC64, TensorDtype::kF8E8m0, TensorDtype::kF4}) {
    const TemporaryFolder folder;
    std::ofstream(folder.path() + "/diffusion_pytorch_model.safetensors", std::ios::binary)
        << SafetensorsHeader({{"w", dtype, {2}}, {"f32", TensorDtype::kF32, {1}}}) +
               std::string(2 * ElementBits(dtype) / 8, '\0') + std::string(4, '\0');
    const WeightFiles weights({folder.path()});
    EXPECT_EQ(weights.Load("f32", {1}, at::kCPU, at::kFloat).item<float>(), 0);
    for (const at::Device device : {at::kCPU, at::kMeta}) {  // before anything is read, too
      EXPECT_THAT([&] { weights.Load("w", {2}, device, at::kFloat); },
                  ThrowsMessage<std::invalid_argument>(
                      AllOf(HasSubstr("diffusion_pytorch_model.safetensors"),
                            HasSubstr("tensor w has dtype " + std::string(DtypeName(dtype))))));
    }
  }
}

TEST_F(WeightsFile, ErrorsNameFileTensorAndShapes) {
  const WeightFiles weights({folder_.path()});
  EXPECT_THAT([&] { weights.Load("f32", {3, 2}, at::kCPU, at::kFloat); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr("diffusion_pytorch_model.safetensors"), HasSubstr("f32"),
                        HasSubstr("[2, 3]"), HasSubstr("[3, 2]"))));
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
    plans.push_back({"large." + std::to_string(bytes), TensorDtype::kF8E5m2, {bytes}});
  }
  const TemporaryFolder folder;
  std::ofstream file(folder.path() + "/model.safetensors", std::ios::binary);
  const std::string header = SafetensorsHeader(plans);
  file << header;
  std::vector<at::Tensor> expected;  // bytes, of which no four make a NaN
  for (const TensorPlan& plan : plans) {
    const int64_t bytes = plan.shape[0] * ElementBits(plan.dtype) / 8;
    expected.push_back(at::randint(0, 100, {bytes}, at::TensorOptions(at::kByte)));
    file.write(static_cast<const char*>(expected.back().const_data_ptr()),
               static_cast<std::streamsize>(expected.back().nbytes()));
  }
  const auto bytes = static_cast<int64_t>(file.tellp()) - std::ssize(header);
  file.close();
  SetCpuThreads(3);
  const auto read_bytes = std::make_shared<std::atomic<int64_t>>(0);
  const WeightFiles weights({folder.path(), Saver::kTransformers}, read_bytes);
  for (size_t i = 0; i < plans.size(); ++i) {
    const at::Tensor loaded =
        weights.Load(plans[i].name, plans[i].shape, at::kCPU, *WeightTypeOf(plans[i].dtype));
    EXPECT_TRUE(at::equal(loaded.view(at::kByte), expected[i])) << plans[i].name;
  }
  EXPECT_EQ(*read_bytes, bytes);
  // Of the bytes in the order of names, whatever threads and order they were read in.
  std::map<std::string, std::string> by_name;
  for (size_t i = 0; i < plans.size(); ++i) Append(by_name[plans[i].name], expected[i]);
  std::string all, small;
  for (const auto& [name, content] : by_name) {
    all += content;
    if (name.starts_with("small.")) small += content;
  }
  EXPECT_EQ(weights.Crc32cLess(""), Crc32c(std::as_bytes(std::span(all))));
  EXPECT_EQ(weights.Crc32cLess("large."), Crc32c(std::as_bytes(std::span(small))));
}

TEST_F(WeightsFile, AFileCutOffWhileItLoadsIsAnErrorThatNamesIt) {
  const WeightFiles weights({folder_.path()});
  const std::string path = folder_.path() + "/diffusion_pytorch_model.safetensors";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_TRUE(at::equal(weights.Load("f32", {2, 3}, at::kCPU, at::kFloat), values_));
  EXPECT_THAT([&] { weights.Load("bf16", {2, 3}, at::kCPU, at::kFloat); },
              ThrowsMessage<ReadError>(
                  AllOf(HasSubstr("diffusion_pytorch_model.safetensors"), HasSubstr("ends at"))));
}

}  // namespace
}  // namespace cogwheel
