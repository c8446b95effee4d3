// The VAE against recorded runs of the reference: every chunk length, tiles, both directions.
#include "worker/families/cogvideox/vae.h"
#include "worker/families/cogvideox/components.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/serial_decode.h"
#include "worker/families/cogvideox/image_input.h"
#include "worker/media/image_decoder.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

using ::testing::ElementsAre;

// Outputs are of size 1; about 30 layers of sums over up to 2,000 products each round by some
// eps·sqrt(2000) = 5e-6 a layer in fp32, in another order than the reference's.
constexpr double kTolerance = 5e-5;

// By value: a range-for over a part of a temporary would see it destroyed.
nlohmann::json Recorded(const std::string& pointer) {
  std::ifstream stream(GoldenPath("networks.json"));
  nlohmann::json items = nlohmann::json::parse(stream).at(nlohmann::json::json_pointer(pointer));
  EXPECT_FALSE(items.empty());
  return items;
}

std::string ReadBytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::unique_ptr<Vae> LoadVae(const std::string& checkpoint, const TemporaryFolder& folder) {
  BuildCheckpoint(checkpoint, folder.path());
  const VaeConfig config = ReadCheckpointConfigs(folder.path()).vae;
  return Vae::Load(config, WeightFiles(ComponentOf(folder.path(), "vae")), at::kCPU, at::kFloat,
                   /*with_encoder=*/true);
}

DecodedImage Picture(const nlohmann::json& item) {
  const auto image = DecodeImage(ReadBytes(GoldenPath(item["image"].get<std::string>())));
  EXPECT_TRUE(image.ok()) << image.status();
  return *image;
}

double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>();
}

TEST(VaeTest, ChunksPutTheRemainderFirst) {
  const TemporaryFolder folder;
  const auto vae = LoadVae("t2v-rope", folder);
  EXPECT_THAT(vae->DecodeChunks(13), ElementsAre(3, 2, 2, 2, 2, 2));
  EXPECT_THAT(vae->DecodeChunks(4), ElementsAre(2, 2));
  EXPECT_THAT(vae->DecodeChunks(1), ElementsAre(1));
  EXPECT_THAT(Vae::EncodeChunks(17), ElementsAre(9, 8));
  EXPECT_THAT(Vae::EncodeChunks(1), ElementsAre(1));
}

TEST(VaeTest, DecodeEqualsTheReference) {
  at::set_num_threads(1);
  const SafetensorsFile file(GoldenPath("networks/decode.safetensors"));
  for (const nlohmann::json& item : Recorded("/vae/decode")) {
    SCOPED_TRACE(item["label"].get<std::string>());
    const TemporaryFolder folder;
    const auto vae = LoadVae(item["checkpoint"], folder);
    const at::Generator generator =
        at::detail::createCPUGenerator(item["latent_seed"].get<uint64_t>());
    const std::vector<int64_t> shape = item["latent_shape"];
    const at::Tensor latents =
        at::rand(shape, generator, at::TensorOptions(at::kFloat)).sub_(0.5).mul_(std::sqrt(12.0));
    const bool tiled = item["tiling"];
    EXPECT_TRUE(!tiled || vae->TilesDecode(shape[3], shape[4]));
    const at::Tensor video =
        tiled ? DecodeTilesSerially(*vae, latents) : DecodeSerially(*vae, latents);
    const std::vector<int64_t> video_shape = item["video_shape"];
    ASSERT_EQ(video.sizes(), at::IntArrayRef(video_shape));
    const std::vector<int64_t> frames = item["frames"];
    const at::Tensor chosen = video[0].index_select(1, at::tensor(frames));
    EXPECT_LE(LargestDifference(chosen, ReadTensor(file, item["label"])), kTolerance);
  }
}

// The reference keeps 52 of a 64 pixels wide tile and starts the next one 48 pixels on: 52 + 52 +
// 32 of 128.
TEST(VaeTest, TilingThatMakesAnotherSizeIsRefused) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  BuildCheckpoint("t2v-rope", folder.path());
  VaeConfig config = ReadCheckpointConfigs(folder.path()).vae;
  const WeightFiles weights(ComponentOf(folder.path(), "vae"));
  const auto with_sample = [&](int64_t height, int64_t width) {
    config.sample_height = height;
    config.sample_width = width;
    return Vae::Load(config, weights, at::kCPU, at::kFloat, /*with_encoder=*/false);
  };
  const auto says = [](const char* text) {
    return ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr(text));
  };
  const auto odd = with_sample(96, 128);
  EXPECT_THAT([&] { odd->CheckTiling({1, 96, 128}, false); }, says("make 136 pixels wide of 128;"));
  // 8 latents fit a tile, but the height is tiled: 52 + 16.
  EXPECT_THAT([&] { odd->CheckTiling({1, 96, 64}, false); }, says("make 68 pixels wide of 64;"));
  EXPECT_NO_THROW(odd->CheckTiling({1, 96, 48}, false));  // one tile in a row
  EXPECT_NO_THROW(odd->CheckTiling({1, 48, 64}, false));  // not tiled at all
  const auto high = with_sample(128, 160);
  EXPECT_THAT([&] { high->CheckTiling({1, 96, 128}, false); }, says("make 102 pixels high of 96;"));
  // Of the picture: 7 of each 64 pixels, every 51.
  EXPECT_THAT([&] { odd->CheckTiling({1, 48, 80}, true); }, says("pixels wide of 80"));
  const auto published = with_sample(480, 720);
  for (const auto& [height, width] : {std::pair{480, 720}, {768, 1360}, {256, 1360}, {496, 16}}) {
    EXPECT_NO_THROW(published->CheckTiling({1, height, width}, true)) << height << " " << width;
  }
  const at::Tensor latents = at::zeros({1, 16, 1, 12, 16});
  EXPECT_EQ(DecodeTilesSerially(*odd, latents).size(4), 136);
}

TEST(VaeTest, EncodeEqualsTheReference) {
  at::set_num_threads(1);
  const SafetensorsFile file(GoldenPath("networks/encode.safetensors"));
  for (const nlohmann::json& item : Recorded("/vae/encode")) {
    SCOPED_TRACE(item["label"].get<std::string>());
    const TemporaryFolder folder;
    const auto vae = LoadVae(item["checkpoint"], folder);
    const DecodedImage picture = Picture(item);
    const at::Tensor pixels =
        PrepareImage(picture.rgb, picture.height, picture.width, item["height"], item["width"]);
    const at::Tensor posterior = vae->Encode(pixels, item["tiling"])[0];
    const std::string label = item["label"];
    EXPECT_LE(LargestDifference(posterior.narrow(0, 0, 16), ReadTensor(file, label + "/mean")),
              kTolerance);
    EXPECT_LE(LargestDifference(posterior.narrow(0, 16, 16), ReadTensor(file, label + "/logvar")),
              kTolerance);
  }
}

TEST(ImageInputTest, ResizeEqualsPillowToTheByte) {
  const SafetensorsFile file(GoldenPath("networks/resize.safetensors"));
  for (const nlohmann::json& item : Recorded("/resize")) {
    const std::string key = item["key"];
    SCOPED_TRACE(key);
    const DecodedImage picture = Picture(item);
    const RgbImage resized =
        ResizeLanczos(picture.rgb, picture.height, picture.width, item["height"], item["width"]);
    const TensorEntry& expected = file.tensors().at(key);
    std::vector<uint8_t> bytes(expected.bytes);
    file.Read(expected.offset, std::as_writable_bytes(std::span(bytes)));
    EXPECT_EQ(resized.rgb, bytes);
  }
}

}  // namespace
}  // namespace cogwheel
