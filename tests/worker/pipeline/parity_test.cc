#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/worker/pipeline/parity_case.h"
#include "tests/worker/pipeline/pipeline_runner.h"

// The whole pipeline on meshes of threads against recorded runs of the reference. With
// COGWHEEL_PARITY_TABLE=FILE every case adds a line of a markdown table to FILE.
namespace cogwheel {
namespace {

constexpr double kLatentLimit = 1e-4;      // of the latents' standard deviation
constexpr double kWithinOneShare = 0.999;  // of all frame values
constexpr int kFrameLimit = 2;             // of 255

void AddToTable(const ParityCase& parity_case, double latents, const FrameDifference& frames) {
  const char* path = std::getenv("COGWHEEL_PARITY_TABLE");
  if (path == nullptr) return;
  const Mesh& mesh = parity_case.mesh;
  char line[200];
  std::snprintf(line, sizeof(line), "| %s | %d×%d×%d | %.2g | %.3f %% | %d |\n",
                parity_case.name.c_str(), mesh.cfg, mesh.ring, mesh.ulysses, latents,
                100 * frames.within_one, frames.largest);
  std::ofstream(path, std::ios::app) << line;
}

void ExpectDone(const RunResult& outcome) {
  for (const std::string& error : outcome.errors) ASSERT_EQ(error, "");
}

class ParityTest : public testing::TestWithParam<ParityCase> {};

TEST_P(ParityTest, MatchesTheReference) {
  const nlohmann::json description = ReadCase(GetParam().name);
  TemporaryFolder folder;
  BuildCheckpoint(description["checkpoint"], folder.path());
  JobSpec spec = ToSpec(description["request"]);
  const SafetensorsFile expected(GoldenPath(description["expected"]));
  const at::Tensor latents = ReadTensor(expected, "latents");
  const at::Tensor frames = ReadTensor(expected, "frames");

  spec.output = OutputKind::kLatent;
  const RunResult latent_run = RunOnMesh(folder.path(), GetParam().mesh, spec);
  ExpectDone(latent_run);
  ASSERT_EQ(latent_run.sink.latents.size(), latents.numel());
  EXPECT_EQ(latent_run.sink.previews.size(), spec.steps / 2);
  const double latent_difference =
      LatentDifference(latent_run.sink.latents, latents.const_data_ptr<float>());

  spec.output = OutputKind::kFrames;
  const RunResult frame_run = RunOnMesh(folder.path(), GetParam().mesh, spec);
  ExpectDone(frame_run);
  ASSERT_EQ(frame_run.sink.frames.size(), frames.numel());
  const FrameDifference frame_difference =
      CompareFrames(frame_run.sink.frames, frames.const_data_ptr<uint8_t>());

  AddToTable(GetParam(), latent_difference, frame_difference);
  RecordProperty("latent_difference_e6", static_cast<int>(latent_difference * 1e6));
  EXPECT_LE(latent_difference, kLatentLimit);
  EXPECT_GE(frame_difference.within_one, kWithinOneShare);
  EXPECT_LE(frame_difference.largest, kFrameLimit);
}

INSTANTIATE_TEST_SUITE_P(Cases, ParityTest, testing::ValuesIn(AllCases()), [](const auto& info) {
  std::string name = info.param.name + "_" + std::to_string(info.param.mesh.cfg) +
                     std::to_string(info.param.mesh.ring) + std::to_string(info.param.mesh.ulysses);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Same mesh, build and thread count: the same bits.
TEST(RepeatTest, SameMeshGivesTheSameBits) {
  const nlohmann::json description = ReadCase("rope-dpm");
  TemporaryFolder folder;
  BuildCheckpoint(description["checkpoint"], folder.path());
  JobSpec spec = ToSpec(description["request"]);
  spec.output = OutputKind::kLatent;
  for (const Mesh mesh : {Mesh{1, 2, 2}, Mesh{2, 1, 2}}) {
    const RunResult first = RunOnMesh(folder.path(), mesh, spec);
    const RunResult second = RunOnMesh(folder.path(), mesh, spec);
    ExpectDone(first);
    EXPECT_EQ(first.sink.latents, second.sink.latents) << mesh.ToString();
  }
}

}  // namespace
}  // namespace cogwheel
