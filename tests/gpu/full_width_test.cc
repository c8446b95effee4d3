// The real models' widths and lengths with random weights: every mesh of the GPUs at hand against
// one GPU alone, and both against fp32.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/gpu/gpu_ranks.h"
#include "tests/support/plain_attention.h"
#include "worker/device/device.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/sequence/links.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

// 49 x 480 x 720: 226 + 13 · 30 · 45 = 17,776 tokens. Few layers: every layer does the same, and
// fp32 attention runs at a fiftieth of the speed.
constexpr int64_t kLayers = 2, kFrames = 13, kHeight = 60, kWidth = 90, kText = 226;
constexpr int64_t kVideo = kFrames * (kHeight / 2) * (kWidth / 2), kFeatures = 16 * 4;

struct Variant {
  const char* name;
  TransformerConfig config;
  at::ScalarType dtype;
};

Variant TwoB() { return {.name = "2b", .config = {.num_layers = kLayers}, .dtype = at::kHalf}; }
Variant FiveB() {
  return {.name = "5b",
          .config = {.num_attention_heads = 48,
                     .num_layers = kLayers,
                     .use_rotary_positional_embeddings = true},
          .dtype = at::kBFloat16};
}

// One prediction of this rank's rows, [1, V_local, features] fp32 on the CPU. Text and input have
// been rounded to the half type, so that fp32 sees the same numbers.
at::Tensor Predict(const Variant& variant, at::ScalarType dtype, const Geometry& geometry,
                   const MeshLinks& links) {
  const auto model =
      Transformer::Load(variant.config, RandomWeights(), at::Device(at::kCUDA), dtype);
  const auto job = model->Prepare(geometry, links);
  const auto rows = [&](int64_t count, int64_t width, uint64_t seed, Range range) {
    return SeededNormal({1, count, width}, seed)
        .to(variant.dtype)
        .narrow(1, range.begin, range.size())
        .to(at::kCUDA, dtype);
  };
  const at::Tensor text = rows(kText, variant.config.text_embed_dim, 1, geometry.text_rows());
  const at::Tensor video = rows(kVideo, kFeatures, 2, geometry.video_rows());
  const at::Tensor first = job->Predict(text, video, /*timestep=*/499);
  if (dtype == at::kFloat) return first.cpu();
  const at::Tensor second = job->Predict(text, video, /*timestep=*/499);
  EXPECT_TRUE(at::equal(first, second)) << "the same bits twice";
  return first.to(at::kCPU, at::kFloat);
}

void Keep(const SharedBytes& shared, const at::Tensor& rows, int64_t first_row) {
  std::memcpy(shared.bytes().data() + first_row * kFeatures * sizeof(float), rows.data_ptr(),
              rows.nbytes());
}

at::Tensor Kept(const SharedBytes& shared) {
  return at::from_blob(shared.bytes().data(), {1, kVideo, kFeatures}, at::kFloat);
}

double Rms(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).pow(2).mean().sqrt().item<double>() / b.pow(2).mean().sqrt().item<double>();
}

class GpuFullWidth : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override { ComputeOnOneThread(); }

  static constexpr size_t kBytes = kVideo * kFeatures * sizeof(float);

  // Fills `result` from all ranks of the mesh.
  void Run(const Mesh& mesh, at::ScalarType dtype, const SharedBytes& result) const {
    const auto begin = std::chrono::steady_clock::now();
    SpawnGpuRanks(mesh.size(), [&](Communicator& world) {
      const MeshLinks links = MakeMeshLinks(world, mesh);
      const Geometry geometry(mesh, world.rank(),
                              {.text_count = kText, .video = {kFrames, kHeight / 2, kWidth / 2}});
      Keep(result, Predict(GetParam(), dtype, geometry, links), geometry.video_rows().begin);
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%s %s %s: %.1f s\n", GetParam().name, mesh.ToString().c_str(), at::toString(dtype),
                seconds.count());
    std::fflush(stdout);
  }
};

// Errors of two orders of the same roundings are alike in size and independent: each is no further
// from fp32 than 1.2 times the other, and they differ by about the root of two of it, at most 1.5.
TEST_P(GpuFullWidth, ShardedEqualsWhole) {
  const Variant& variant = GetParam();
  const SharedBytes exact(kBytes), whole(kBytes), sharded(kBytes);
  Run({}, at::kFloat, exact);
  Run({}, variant.dtype, whole);
  const double error = Rms(Kept(whole), Kept(exact));
  std::printf("| %s | 1 GPU | rms to fp32 %.3g |\n", variant.name, error);
  EXPECT_LE(error, 0.03) << "a forward of two layers, each rounding some ten times";
  for (const Mesh& mesh :
       {Mesh{1, 1, 2}, Mesh{1, 2, 1}, Mesh{1, 2, 2}, Mesh{1, 1, 4}, Mesh{1, 4, 1}}) {
    if (mesh.size() > RanksForTests()) continue;
    std::ranges::fill(sharded.bytes(), std::byte{0xff});  // NaN where nobody writes
    Run(mesh, variant.dtype, sharded);
    const double to_exact = Rms(Kept(sharded), Kept(exact));
    const double to_whole = Rms(Kept(sharded), Kept(whole));
    std::printf("| %s | %s | rms to fp32 %.3g, to one GPU %.3g |\n", variant.name,
                mesh.ToString().c_str(), to_exact, to_whole);
    EXPECT_LE(to_exact, 1.2 * error) << mesh.ToString();
    EXPECT_LE(to_whole, 1.5 * error) << mesh.ToString();
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GpuFullWidth, testing::Values(TwoB(), FiveB()),
                         [](const auto& info) { return std::string("m") + info.param.name; });

}  // namespace
}  // namespace cogwheel
