// Tables of positions and times against values of the reference (tests/golden/ops.json) and of the
// formulas in fp64; patches against their index equation.
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "worker/families/cogvideox/embeddings.h"
#include "worker/families/cogvideox/rope.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/families/latent_layout.h"

namespace cogwheel {
namespace {

nlohmann::json ReadOps() {
  std::ifstream file(GoldenPath("ops.json"));
  return nlohmann::json::parse(file);
}

double LargestDifference(const at::Tensor& value, const at::Tensor& expected) {
  return (value.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>();
}

at::Tensor Rows(const at::Tensor& table, const std::vector<int64_t>& rows) {
  return table.index_select(0, at::tensor(rows, at::TensorOptions(at::kLong)));
}

// An angle of up to 85 radians has an error of 85 · 2^-24 from its rounding, as much again from the
// frequency's; cos and sin pass it on.
constexpr double kAngleTolerance = 2 * 85 * 0x1p-23;

TEST(Rope, EqualsTheReference) {
  const SafetensorsFile golden(GoldenPath("ops.safetensors"));
  for (const nlohmann::json& item : ReadOps()["rope"]) {
    const std::string label = item["label"];
    TransformerConfig config;
    config.sample_height = item["sample_height"];
    config.sample_width = item["sample_width"];
    if (!item["patch_size_t"].is_null()) config.patch_size_t = item["patch_size_t"];
    const PatchGrid grid = {
        .frames = item["latent_frames"].get<int64_t>() / config.patch_size_t.value_or(1),
        .rows = item["height"].get<int64_t>() / 16,
        .columns = item["width"].get<int64_t>() / 16};
    ASSERT_EQ(grid.token_count(), item["token_count"].get<int64_t>()) << label;
    const Rotation table = RotaryTable(config, grid, {0, grid.token_count()});
    const std::vector<int64_t> rows = item["rows"];
    EXPECT_LT(
        LargestDifference(Rows(table.cos, rows), ReadTensor(golden, "rope/" + label + "/cos")),
        kAngleTolerance)
        << label;
    EXPECT_LT(
        LargestDifference(Rows(table.sin, rows), ReadTensor(golden, "rope/" + label + "/sin")),
        kAngleTolerance)
        << label;
  }
}

TEST(Rope, AShardHoldsItsRowsOfTheTable) {
  TransformerConfig config;
  config.sample_height = 8;
  config.sample_width = 12;
  const PatchGrid grid = {.frames = 3, .rows = 4, .columns = 5};
  const Rotation whole = RotaryTable(config, grid, {0, 60});
  for (const Range tokens : {Range{7, 33}, Range{0, 0}, Range{59, 60}}) {
    const Rotation part = RotaryTable(config, grid, tokens);
    EXPECT_TRUE(at::equal(part.cos, whole.cos.narrow(0, tokens.begin, tokens.size())));
    EXPECT_TRUE(at::equal(part.sin, whole.sin.narrow(0, tokens.begin, tokens.size())));
  }
}

// 16 channels of the frame, 24 of the row, 24 of the column; each angle for two adjacent channels.
TEST(Rope, ChannelsFollowTheFormula) {
  TransformerConfig config;
  config.patch_size_t = 2;
  config.sample_height = config.sample_width = 300;
  const PatchGrid grid = {.frames = 5, .rows = 7, .columns = 11};
  const int64_t frame = 3, row = 4, column = 9;
  const int64_t token = (frame * 7 + row) * 11 + column;
  const Rotation table = RotaryTable(config, grid, {token, token + 1});
  for (int64_t channel = 0; channel < 64; ++channel) {
    const bool of_frame = channel < 16, of_row = channel < 40;
    const int64_t position = of_frame ? frame : of_row ? row : column;
    const double width = of_frame ? 16 : 24;
    const int64_t first = of_frame ? 0 : of_row ? 16 : 40;
    const double k = static_cast<double>((channel - first) / 2);
    const double angle = static_cast<double>(position) * std::pow(10000.0, -2 * k / width);
    EXPECT_NEAR(table.cos[0][channel].item<double>(), std::cos(angle), 1e-5) << channel;
    EXPECT_NEAR(table.sin[0][channel].item<double>(), std::sin(angle), 1e-5) << channel;
  }
}

TEST(Rope, TheGridIsFittedIntoTheBaseGrid) {
  // 480 x 720 is the base itself.
  EXPECT_EQ(ResizeCropRegion(30, 45, 30, 45), (CropRegion{0, 0, 30, 45}));
  // 720 x 480: as high as the base, round(30 / 45 · 30) = 20 wide, left = round(25 / 2) = 12
  // (even).
  EXPECT_EQ(ResizeCropRegion(45, 30, 30, 45), (CropRegion{0, 12, 30, 32}));
  // 256 x 768: as wide as the base, round(45 / 48 · 16) = 15 high, top = round(15 / 2) = 8 (even).
  EXPECT_EQ(ResizeCropRegion(16, 48, 30, 45), (CropRegion{8, 0, 23, 45}));
}

TEST(SinCos, EqualsTheReference) {
  const SafetensorsFile golden(GoldenPath("ops.safetensors"));
  for (const nlohmann::json& item : ReadOps()["sincos"]) {
    TransformerConfig config;
    config.num_attention_heads = item["width"].get<int64_t>() / 64;
    const PatchGrid grid = {.frames = item["latent_frames"],
                            .rows = item["patch_rows"],
                            .columns = item["patch_columns"]};
    const at::Tensor table = SinCosTable(config, grid, {0, grid.token_count()});
    EXPECT_LT(LargestDifference(Rows(table, item["rows"]),
                                ReadTensor(golden, "sincos/" + item["label"].get<std::string>())),
              1e-7)  // stored in fp32
        << item["label"];
  }
}

// Frame 5, row 7, column 11 of the 2b model, from the specification's formulas in fp64: the column
// comes before the row.
TEST(SinCos, HasTheSpecifiedValues) {
  const PatchGrid grid = {.frames = 13, .rows = 30, .columns = 45};
  const int64_t token = (5 * 30 + 7) * 45 + 11;
  const at::Tensor row = SinCosTable(TransformerConfig(), grid, {token, token + 1})[0];
  const std::vector<std::pair<int64_t, double>> expected = {
      {0, -0.9589242746631386},    {239, 0.0005195611285422004}, {240, 0.2836621854632263},
      {480, -0.4045790813525815},  {481, -0.5351701813536544},   {840, 0.9145030163601983},
      {1200, -0.5578065941053153}, {1201, -0.47717519449227813}, {1560, -0.8299709654997746}};
  for (const auto& [channel, value] : expected) {
    // The position is rounded to fp32 before the fp64 code.
    EXPECT_NEAR(row[channel].item<double>(), value, 11 * 0x1p-23) << channel;
  }
}

TEST(Sinusoid, EqualsTheReference) {
  const SafetensorsFile golden(GoldenPath("ops.safetensors"));
  for (const nlohmann::json& item : ReadOps()["time"]) {
    const int64_t width = item["width"];
    const at::Tensor expected = ReadTensor(golden, "time/" + std::to_string(width));
    int64_t i = 0;
    for (const double time : item["times"].get<std::vector<double>>()) {
      // 999 radians in fp32.
      EXPECT_LT(LargestDifference(SinusoidVector(time, width)[0], expected[i]), 999 * 0x1p-22)
          << width << " at " << time;
      ++i;
    }
  }
}

TEST(Sinusoid, HasTheCosineFirst) {
  const at::Tensor vector = SinusoidVector(999, 1920)[0];
  EXPECT_NEAR(vector[0].item<double>(), 0.9996498529808268, 1e-4);
  EXPECT_NEAR(vector[1].item<double>(), -0.9901649105523584, 1e-4);
  EXPECT_NEAR(vector[959].item<double>(), 0.9949176321297041, 1e-4);
  EXPECT_NEAR(vector[960].item<double>(), -0.02646075273706413, 1e-4);
  EXPECT_NEAR(vector[1919].item<double>(), 0.1006921311594035, 1e-4);
}

// out[b][(t·Y + y)·X + x][((c·pt + dt)·p + dy)·p + dx] = in[b][t·pt + dt][c][y·p + dy][x·p + dx],
// on values that tell every index.
TEST(Patchify, FollowsTheIndexEquationAndItsInverse) {
  constexpr int64_t kBatch = 2, kFrames = 4, kChannels = 3, kHeight = 6, kWidth = 8;
  const at::Tensor latents =
      at::arange(kBatch * kFrames * kChannels * kHeight * kWidth, at::TensorOptions(at::kFloat))
          .view({kBatch, kFrames, kChannels, kHeight, kWidth});
  for (const int64_t pt : {1, 2}) {
    constexpr int64_t p = 2, Y = kHeight / p, X = kWidth / p;
    const at::Tensor patches = Patchify(latents, pt, p);
    ASSERT_EQ(patches.sizes(),
              at::IntArrayRef({kBatch, kFrames / pt * Y * X, kChannels * pt * p * p}));
    const auto in = latents.accessor<float, 5>();
    const auto out = patches.accessor<float, 3>();
    int64_t differing = 0;
    for (int64_t b = 0; b < kBatch; ++b)
      for (int64_t f = 0; f < kFrames; ++f)
        for (int64_t c = 0; c < kChannels; ++c)
          for (int64_t h = 0; h < kHeight; ++h)
            for (int64_t w = 0; w < kWidth; ++w) {
              const int64_t token = (f / pt * Y + h / p) * X + w / p;
              const int64_t feature = ((c * pt + f % pt) * p + h % p) * p + w % p;
              differing += out[b][token][feature] != in[b][f][c][h][w];
            }
    EXPECT_EQ(differing, 0) << "pt " << pt;
    EXPECT_TRUE(at::equal(Unpatchify(patches, kFrames, kHeight, kWidth, pt, p), latents));
  }
  EXPECT_ANY_THROW(Patchify(latents, 3, 2));
}

}  // namespace
}  // namespace cogwheel
