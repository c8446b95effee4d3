// The transformer against one recorded forward of the reference for each variant.
#include "worker/families/cogvideox/transformer.h"

#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "worker/comm/mailbox/local_communicator.h"
#include "worker/weights/weights.h"

namespace cogwheel {
namespace {

// The recorded fp32 results differ from fp64 by a few 1e-6 of their size; another order of the
// same sums may differ by as much again, and the two add up over two or three layers.
constexpr double kTolerance = 1e-5;
constexpr std::chrono::milliseconds kTimeLimit{20'000};

struct Recorded {
  std::string checkpoint;
  std::vector<int64_t> input_shape;  // [1, F, C, H, W]
  uint64_t input_seed = 0;
  int64_t timestep = 0;
  at::Tensor text, prediction;
};

Recorded ReadRecorded(const std::string& checkpoint) {
  std::ifstream stream(GoldenPath("networks.json"));
  const nlohmann::json networks = nlohmann::json::parse(stream);
  for (const nlohmann::json& item : networks["forward"]) {
    if (item["checkpoint"] != checkpoint) continue;
    const SafetensorsFile file(GoldenPath(item["file"].get<std::string>()));
    return {.checkpoint = checkpoint,
            .input_shape = item["input_shape"],
            .input_seed = item["input_seed"],
            .timestep = item["t"],
            .text = ReadTensor(file, "text"),
            .prediction = ReadTensor(file, "prediction")};
  }
  throw std::runtime_error("no recorded forward of " + checkpoint);
}

at::Tensor Input(const Recorded& recorded) {
  const at::Generator generator = at::detail::createCPUGenerator(recorded.input_seed);
  return at::rand(recorded.input_shape, generator, at::TensorOptions(at::kFloat))
      .sub_(0.5)
      .mul_(std::sqrt(12.0));
}

// A checkpoint folder with its transformer loaded.
struct Model {
  explicit Model(const std::string& checkpoint, at::ScalarType dtype = at::kFloat) {
    BuildCheckpoint(checkpoint, folder.path());
    config = ReadCheckpointConfigs(folder.path()).transformer;
    const Weights weights(folder.path() + "/transformer");
    transformer = Transformer::Load(config, weights, at::kCPU, dtype);
  }
  TemporaryFolder folder;
  TransformerConfig config;
  std::unique_ptr<Transformer> transformer;
};

SequenceContext ContextOf(const Recorded& recorded, const TransformerConfig& config) {
  const std::vector<int64_t>& shape = recorded.input_shape;
  const int64_t pt = config.patch_size_t.value_or(1), p = config.patch_size;
  return {.text_count = recorded.text.size(1),
          .video_count = (shape[1] / pt) * (shape[3] / p) * (shape[4] / p)};
}

// The prediction [B, V, features] of the whole sequence, put together from all shards; each rank is
// a thread.
at::Tensor Predict(const Model& model, const Recorded& recorded, int ring, int ulysses) {
  const std::vector<int64_t>& shape = recorded.input_shape;
  const at::Tensor patches =
      Patchify(Input(recorded), model.config.patch_size_t.value_or(1), model.config.patch_size);
  const int ranks = ring * ulysses;
  std::vector<std::vector<std::unique_ptr<MailboxCommunicator>>> rings, heads;
  for (int i = 0; i < ulysses; ++i) rings.push_back(MakeLocalWorld(ring, kTimeLimit));
  for (int i = 0; i < ring; ++i) heads.push_back(MakeLocalWorld(ulysses, kTimeLimit));
  std::vector<at::Tensor> parts(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      SequenceContext context = ContextOf(recorded, model.config);
      context.ring_size = ring;
      context.ring_rank = rank / ulysses;
      context.ulysses_size = ulysses;
      context.ulysses_rank = rank % ulysses;
      context.ring = rings[context.ulysses_rank][context.ring_rank].get();
      context.ulysses = heads[context.ring_rank][context.ulysses_rank].get();
      const TransformerJob job = model.transformer->Prepare(context, shape[1], shape[3], shape[4]);
      const JointShard shard = context.shard();
      parts[rank] = model.transformer->Forward(
          job, recorded.text.narrow(1, shard.text.begin, shard.text.size()),
          patches.narrow(1, shard.video.begin, shard.video.size()), recorded.timestep);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return at::cat(parts, 1);
}

double LargestDifference(const at::Tensor& value, const at::Tensor& expected) {
  const at::Tensor difference = (value.to(at::kDouble) - expected.to(at::kDouble)).abs();
  return difference.max().item<double>() / expected.to(at::kDouble).std().item<double>();
}

class TransformerForward : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { at::set_num_threads(1); }
};

TEST_P(TransformerForward, EqualsTheReferenceOnEveryMesh) {
  const Recorded recorded = ReadRecorded(GetParam());
  const Model model(recorded.checkpoint);
  const std::vector<int64_t>& shape = recorded.input_shape;
  for (const auto& [ring, ulysses] :
       std::vector<std::pair<int, int>>{{1, 1}, {1, 2}, {2, 2}, {3, 1}}) {
    const at::Tensor patches = Predict(model, recorded, ring, ulysses);
    const at::Tensor prediction =
        Unpatchify(patches, shape[1], shape[3], shape[4], model.config.patch_size_t.value_or(1), 2);
    ASSERT_EQ(prediction.sizes(), recorded.prediction.sizes());
    EXPECT_LT(LargestDifference(prediction, recorded.prediction), kTolerance)
        << "ring " << ring << ", ulysses " << ulysses;
  }
}

TEST_P(TransformerForward, StaysNearTheReferenceInHalfPrecision) {
  const Recorded recorded = ReadRecorded(GetParam());
  const std::vector<int64_t>& shape = recorded.input_shape;
  const Model model(recorded.checkpoint, at::kBFloat16);
  SequenceContext context = ContextOf(recorded, model.config);
  auto alone = MakeLocalWorld(1, kTimeLimit);
  context.ring = context.ulysses = alone[0].get();
  const TransformerJob job = model.transformer->Prepare(context, shape[1], shape[3], shape[4]);
  const int64_t pt = model.config.patch_size_t.value_or(1);
  const at::Tensor prediction = model.transformer->Forward(
      job, recorded.text.to(at::kBFloat16), Patchify(Input(recorded), pt, 2).to(at::kBFloat16),
      recorded.timestep);
  EXPECT_EQ(prediction.scalar_type(), at::kBFloat16);
  // 2^-8 per rounding; a few dozen roundings on the way to an output add up as a random walk.
  const at::Tensor expected = Patchify(recorded.prediction, pt, 2);
  const at::Tensor error = prediction.to(at::kFloat) - expected;
  EXPECT_LT(error.std().item<double>() / expected.std().item<double>(), 8.0 / 256);
}

INSTANTIATE_TEST_SUITE_P(Variants, TransformerForward,
                         testing::Values("t2v-sincos", "t2v-rope", "i2v-learned", "t2v-rope15",
                                         "i2v-rope15-ofs"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Transformer, RefusesSizesThatTheModelCannotTake) {
  const Model learned("i2v-learned"), ruler("t2v-rope15");
  SequenceContext context{.text_count = 17, .video_count = 3 * 4 * 5};
  EXPECT_THAT([&] { learned.transformer->Prepare(context, 3, 8, 10); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("6 x 10 only")));
  context = {.text_count = 16, .video_count = 3 * 3 * 5};
  EXPECT_THAT([&] { learned.transformer->Prepare(context, 3, 6, 10); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("17 text tokens")));
  EXPECT_THAT([&] { ruler.transformer->Prepare(context, 3, 6, 10); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("multiple of 2")));
  const int64_t rows = ruler.config.sample_height / 2 + 1;
  context = {.text_count = 5, .video_count = rows};
  EXPECT_THAT([&] { ruler.transformer->Prepare(context, 2, 2 * rows, 2); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("rotary range")));
  context = {.text_count = 1000, .video_count = 4};
  EXPECT_THAT(
      [&] { ruler.transformer->Prepare(context, 2, 4, 4); },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("1000 text tokens")));
}

TEST(Transformer, ActivationBytesShrinkWithTheMesh) {
  const Model model("i2v-learned");  // 2 heads: an even split
  const SequenceContext whole{.text_count = 31, .video_count = 4000};
  SequenceContext quarter = whole;
  quarter.ring_size = quarter.ulysses_size = 2;
  const auto bytes = [&](const SequenceContext& context) {
    return static_cast<double>(model.transformer->ActivationBytes(context, 2));
  };
  EXPECT_LT(bytes(quarter), 1.1 / 4 * bytes(whole));
  // At least the residual, q, k, v of both samples.
  EXPECT_GT(bytes(whole), 2.0 * 4031 * model.config.width() * 4 * sizeof(float));
}

}  // namespace
}  // namespace cogwheel
