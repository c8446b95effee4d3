#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ostream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "tests/worker/pipeline/pipeline_runner.h"
#include "worker/media/image_decoder.h"

// The whole pipeline on meshes of threads against recorded runs of the reference. With
// COGWHEEL_PARITY_TABLE=FILE every case adds a line of a markdown table to FILE.
namespace cogwheel {
namespace {

constexpr double kLatentLimit = 1e-4;      // of the latents' standard deviation
constexpr double kWithinOneShare = 0.999;  // of all frame values
constexpr int kFrameLimit = 2;             // of 255

struct ParityCase {
  std::string name;
  Mesh mesh;
  friend void PrintTo(const ParityCase& c, std::ostream* out) {
    *out << c.name << " on " << c.mesh.ToString();
  }
};

nlohmann::json ReadCase(const std::string& name) {
  std::ifstream file(GoldenPath("cases/" + name + ".json"));
  return nlohmann::json::parse(file);
}

std::vector<ParityCase> AllCases() {
  std::vector<ParityCase> cases;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenPath("cases"))) {
    if (entry.path().extension() != ".json") continue;
    const std::string name = entry.path().stem().string();
    const nlohmann::json description = ReadCase(name);
    for (const nlohmann::json& mesh : description["meshes"]) {
      cases.push_back({name, {.cfg = mesh[0], .ring = mesh[1], .ulysses = mesh[2]}});
    }
  }
  std::sort(cases.begin(), cases.end(), [](const ParityCase& a, const ParityCase& b) {
    return std::pair(a.name, a.mesh.ToString()) < std::pair(b.name, b.mesh.ToString());
  });
  return cases;
}

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

JobSpec ToSpec(const nlohmann::json& request) {
  JobSpec spec;
  spec.job = "jobs/parity";
  spec.epoch = 3;
  spec.job_sequence = 7;
  spec.prompt = request["prompt"];
  spec.negative_prompt = request["negative_prompt"];
  spec.frames = request["frames"];
  spec.height = request["height"];
  spec.width = request["width"];
  spec.steps = request["steps"];
  spec.guidance_scale = request["guidance_scale"];
  spec.dynamic_cfg = request["dynamic_cfg"];
  spec.scheduler = request["scheduler"] == "dpm" ? SchedulerKind::kDpm : SchedulerKind::kDdim;
  spec.seed = request["seed"];
  spec.max_sequence_length = request["max_sequence_length"];
  spec.vae_tiling = request["vae_tiling"];
  spec.preview_every = 2;
  if (request.contains("image")) {
    const auto image = DecodeImage(ReadBytes(GoldenPath(request["image"])));
    if (!image.ok()) throw std::runtime_error(std::string(image.status().message()));
    spec.has_image = true;
    spec.image_rgb = image->rgb;
    spec.image_height = image->height;
    spec.image_width = image->width;
  }
  return spec;
}

// Largest difference, by the expected values' standard deviation.
double LatentDifference(const std::vector<float>& mine, const float* expected) {
  double sum = 0, squares = 0, largest = 0;
  for (size_t i = 0; i < mine.size(); ++i) {
    sum += expected[i];
    squares += double{expected[i]} * expected[i];
    largest = std::max(largest, std::abs(double{mine[i]} - expected[i]));
  }
  const double mean = sum / mine.size();
  return largest / std::sqrt(squares / mine.size() - mean * mean);
}

struct FrameDifference {
  double within_one = 0;
  int largest = 0;
};

FrameDifference CompareFrames(const std::vector<uint8_t>& mine, const uint8_t* expected) {
  FrameDifference difference;
  size_t within = 0;
  for (size_t i = 0; i < mine.size(); ++i) {
    const int apart = std::abs(int{mine[i]} - int{expected[i]});
    difference.largest = std::max(difference.largest, apart);
    within += apart <= 1;
  }
  difference.within_one = static_cast<double>(within) / mine.size();
  return difference;
}

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

void ExpectDone(const RunOutcome& outcome) {
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
  const RunOutcome latent_run = RunOnMesh(folder.path(), GetParam().mesh, spec);
  ExpectDone(latent_run);
  ASSERT_EQ(latent_run.sink.latents.size(), latents.numel());
  EXPECT_EQ(latent_run.sink.previews.size(), spec.steps / 2);
  const double latent_difference =
      LatentDifference(latent_run.sink.latents, latents.const_data_ptr<float>());

  spec.output = OutputKind::kFrames;
  const RunOutcome frame_run = RunOnMesh(folder.path(), GetParam().mesh, spec);
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
    const RunOutcome first = RunOnMesh(folder.path(), mesh, spec);
    const RunOutcome second = RunOnMesh(folder.path(), mesh, spec);
    ExpectDone(first);
    EXPECT_EQ(first.sink.latents, second.sink.latents) << mesh.ToString();
  }
}

}  // namespace
}  // namespace cogwheel
