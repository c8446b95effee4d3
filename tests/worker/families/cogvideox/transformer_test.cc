// The transformer against one recorded forward of the reference for each variant.
#include "worker/families/cogvideox/transformer.h"
#include "worker/families/cogvideox/components.h"

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
#include "worker/families/cogvideox/footprint.h"
#include "worker/weights/weight_source.h"

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
    const WeightFiles weights(ComponentOf(folder.path(), "transformer"));
    transformer = Transformer::Load(config, weights, at::kCPU, dtype);
  }
  TemporaryFolder folder;
  TransformerConfig config;
  std::unique_ptr<Transformer> transformer;
};

Segments SegmentsOf(const Recorded& recorded, const TransformerConfig& config) {
  const std::vector<int64_t>& shape = recorded.input_shape;
  const int64_t pt = config.patch_frames(), p = config.patch_size;
  return {.text_count = recorded.text.size(1),
          .video = {shape[1] / pt, shape[3] / p, shape[4] / p}};
}

// The prediction [B, V, features] of the whole sequence, put together from all shards; each rank is
// a thread.
at::Tensor Predict(const Model& model, const Recorded& recorded, const Mesh& mesh) {
  const at::Tensor patches =
      Patchify(Input(recorded), model.config.patch_frames(), model.config.patch_size);
  const auto world = MakeLocalWorld(mesh.size(), kTimeLimit);
  std::vector<at::Tensor> parts(mesh.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < mesh.size(); ++rank) {
    threads.emplace_back([&, rank] {
      const Geometry geometry(mesh, rank, SegmentsOf(recorded, model.config));
      const MeshLinks links = MakeMeshLinks(*world[rank], mesh);
      const Range text = geometry.text_rows(), video = geometry.video_rows();
      parts[rank] = model.transformer->Prepare(geometry, links)
                        ->Predict(recorded.text.narrow(1, text.begin, text.size()),
                                  patches.narrow(1, video.begin, video.size()), recorded.timestep);
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
  for (const Mesh& mesh : {Mesh{1, 1, 1}, Mesh{1, 1, 2}, Mesh{1, 2, 2}, Mesh{1, 3, 1}}) {
    const at::Tensor patches = Predict(model, recorded, mesh);
    const at::Tensor prediction =
        Unpatchify(patches, shape[1], shape[3], shape[4], model.config.patch_frames(), 2);
    ASSERT_EQ(prediction.sizes(), recorded.prediction.sizes());
    EXPECT_LT(LargestDifference(prediction, recorded.prediction), kTolerance) << mesh.ToString();
  }
}

TEST_P(TransformerForward, StaysNearTheReferenceInHalfPrecision) {
  const Recorded recorded = ReadRecorded(GetParam());
  const Model model(recorded.checkpoint, at::kBFloat16);
  const auto alone = MakeLocalWorld(1, kTimeLimit);
  const MeshLinks links = MakeMeshLinks(*alone[0], {});
  const Geometry geometry({}, 0, SegmentsOf(recorded, model.config));
  const int64_t pt = model.config.patch_frames();
  const at::Tensor prediction =
      model.transformer->Prepare(geometry, links)
          ->Predict(recorded.text.to(at::kBFloat16),
                    Patchify(Input(recorded), pt, 2).to(at::kBFloat16), recorded.timestep);
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
  const auto check = [](const Model& model, int64_t text_count, const PatchGrid& grid) {
    CheckFits(model.config, {{}, 0, {.text_count = text_count, .video = grid}});
  };
  EXPECT_THAT([&] { check(learned, 17, {3, 4, 5}); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("6 x 10 only")));
  EXPECT_THAT([&] { check(learned, 16, {3, 3, 5}); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("17 text tokens")));
  const int64_t rows = ruler.config.sample_height / 2 + 1;
  EXPECT_THAT([&] { check(ruler, 5, {1, rows, 1}); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("rotary range")));
  EXPECT_THAT([&] { check(ruler, 1000, {1, 2, 2}); }, testing::ThrowsMessage<std::invalid_argument>(
                                                          testing::HasSubstr("1000 text tokens")));
}

TEST(Transformer, LaysOutWholePatches) {
  const Model model("t2v-rope"), two_frames("t2v-rope15");
  // 17 frames are 5 latent ones, of which 1.5's patches of two need one more, at the front.
  const LatentLayout layout = two_frames.transformer->LayOut({17, 64, 96});
  EXPECT_EQ(layout.frames, 6);
  EXPECT_EQ(layout.leading_padding, 1);
  EXPECT_EQ(layout.grid(), (PatchGrid{3, 4, 6}));
  EXPECT_EQ(model.transformer->LayOut({17, 64, 96}).leading_padding, 0);
  EXPECT_EQ(model.transformer->LayOut({17, 64, 96}).grid(), (PatchGrid{5, 4, 6}));
  EXPECT_THAT(
      [&] { model.transformer->LayOut({17, 72, 64}); },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("9 x 8 has no whole")));
}

TEST(Transformer, ActivationBytesShrinkWithTheMesh) {
  const Model model("i2v-learned");  // 2 heads: an even split
  const auto bytes = [&](const Mesh& mesh) {
    const Geometry geometry(mesh, 0, {.text_count = 31, .video = {1, 1, 4000}});
    return static_cast<double>(ActivationBytes(model.config, geometry, 2, sizeof(float)));
  };
  EXPECT_LT(bytes({1, 2, 2}), 1.1 / 4 * bytes({}));
  // At least the residual, q, k, v of both samples.
  EXPECT_GT(bytes({}), 2.0 * 4031 * model.config.width() * 4 * sizeof(float));
}

}  // namespace
}  // namespace cogwheel
