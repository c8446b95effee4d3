// The whole pipeline on GPUs against the recorded runs of the reference, and in half precision
// against the CPU's runs, whose noise is the same.
#include <algorithm>
#include <cstdio>

#include <gtest/gtest.h>

#include "tests/gpu/gpu_ranks.h"
#include "tests/support/checkpoint_builder.h"
#include "tests/worker/pipeline/parity_case.h"
#include "tests/worker/pipeline/pipeline_runner.h"
#include "worker/families/cogvideox/cogvideox_family.h"

namespace cogwheel {
namespace {

// As on the CPU: fp32 arithmetic in another order (tests/worker/pipeline/parity_test.cc).
constexpr double kLatentLimit = 1e-4;
constexpr double kWithinOneShare = 0.999;
constexpr int kFrameLimit = 2;

std::unique_ptr<Pipeline> LoadOnGpu(const Communicator& world, const std::string& folder,
                                    const Mesh& mesh, Dtype dtype) {
  return Pipeline::Create(*CogVideoXFamily(), {.model_dir = folder,
                                               .mesh = mesh,
                                               .world_rank = world.rank(),
                                               .device = DeviceKind::kCuda,
                                               .device_idx = GpuOfRank(world.rank()),
                                               .dtype = dtype,
                                               .cpu_threads = 2});
}

RecordingSink Run(Pipeline& pipeline, const JobWorld::View& rank, JobSpec spec, OutputKind output) {
  spec.output = output;
  if (rank.world.rank() != 0) spec.image_rgb.clear();
  pipeline.Plan(spec);
  RecordingSink sink;
  pipeline.Run(spec, rank.world, rank.journal, sink, {});
  return sink;
}

void ExpectReference(const JobWorld::View& rank, const ParityCase& parity_case,
                     const std::string& folder, const nlohmann::json& description) {
  const JobSpec spec = ToSpec(description["request"]);
  const auto pipeline = LoadOnGpu(rank.world, folder, parity_case.mesh, Dtype::kFp32);
  const RecordingSink latents = Run(*pipeline, rank, spec, OutputKind::kLatent);
  const RecordingSink frames = Run(*pipeline, rank, spec, OutputKind::kFrames);
  if (rank.world.rank() != 0) return;
  const SafetensorsFile expected(GoldenPath(description["expected"]));
  const at::Tensor expected_latents = ReadTensor(expected, "latents");
  const at::Tensor expected_frames = ReadTensor(expected, "frames");
  ASSERT_EQ(latents.latents.size(), expected_latents.numel());
  ASSERT_EQ(frames.frames.size(), expected_frames.numel());
  const double apart = LatentDifference(latents.latents, expected_latents.const_data_ptr<float>());
  const FrameDifference frame_apart =
      CompareFrames(frames.frames, expected_frames.const_data_ptr<uint8_t>());
  std::printf("| %s | %s | fp32 | %.2g | %.3f %% | %d |\n", parity_case.name.c_str(),
              parity_case.mesh.ToString().c_str(), apart, 100 * frame_apart.within_one,
              frame_apart.largest);
  EXPECT_LE(apart, kLatentLimit) << parity_case.name;
  EXPECT_GE(frame_apart.within_one, kWithinOneShare) << parity_case.name;
  EXPECT_LE(frame_apart.largest, kFrameLimit) << parity_case.name;
}

// The cases of one mesh in one life of the ranks: starting them takes longer than most cases.
TEST(GpuPipeline, MatchesTheReference) {
  std::vector<Mesh> meshes;
  for (const ParityCase& parity_case : AllCases()) {
    const bool known = std::ranges::find(meshes, parity_case.mesh) != meshes.end();
    if (!known && parity_case.mesh.size() <= RanksForTests()) meshes.push_back(parity_case.mesh);
  }
  for (const Mesh& mesh : meshes) {
    SpawnGpuRanks(mesh.size(), [&](Communicator& world, ProgramJournal& journal) {
      for (const ParityCase& parity_case : AllCases()) {
        if (!(parity_case.mesh == mesh)) continue;
        const nlohmann::json description = ReadCase(parity_case.name);
        TemporaryFolder folder;
        BuildCheckpoint(description["checkpoint"], folder.path());
        ExpectReference({world, journal}, parity_case, folder.path(), description);
      }
    });
  }
}

// Half precision: the GPU's run is no further from the CPU's than three times what another order of
// the CPU's own arithmetic is, a mesh of two. The kernels round once where the CPU's operations
// round three or four times, so every operation differs, not attention alone.
void ExpectCpus(const JobWorld::View& rank, const char* name, Dtype dtype) {
  const nlohmann::json description = ReadCase(name);
  TemporaryFolder folder;
  BuildCheckpoint(description["checkpoint"], folder.path());
  JobSpec spec = ToSpec(description["request"]);
  spec.output = OutputKind::kLatent;
  const auto pipeline = LoadOnGpu(rank.world, folder.path(), {}, dtype);
  const RecordingSink gpu = Run(*pipeline, rank, spec, OutputKind::kLatent);
  const RecordingSink again = Run(*pipeline, rank, spec, OutputKind::kLatent);
  EXPECT_EQ(gpu.latents, again.latents) << name;
  const RunResult cpu = RunOnMesh(folder.path(), {}, spec, {}, dtype);
  const RunResult other = RunOnMesh(folder.path(), {.ring = 2}, spec, {}, dtype);
  const float* expected = cpu.sink.latents.data();
  const double apart = LatentRms(gpu.latents, expected);
  const double usual = LatentRms(other.sink.latents, expected);
  std::printf("| %s | 1 GPU | %s | rms %.2g | CPU meshes %.2g |\n", name,
              dtype == Dtype::kBf16 ? "bf16" : "fp16", apart, usual);
  EXPECT_LE(apart, 3 * usual) << name;
}

TEST(GpuPipeline, HalfPrecisionMatchesTheCpu) {
  SpawnGpuRanks(1, [](Communicator& world, ProgramJournal& journal) {
    for (const char* name : {"sincos-ddim", "rope-dpm", "rope15-i2v-dpm", "learned-ddim"}) {
      ExpectCpus({world, journal}, name, Dtype::kBf16);
      ExpectCpus({world, journal}, name, Dtype::kFp16);
    }
  });
}

}  // namespace
}  // namespace cogwheel
