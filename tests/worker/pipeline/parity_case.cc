#include "tests/worker/pipeline/parity_case.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/support/checkpoint_builder.h"
#include "worker/media/image_decoder.h"

namespace cogwheel {

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

namespace {

std::string ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// By which differences are told.
double StandardDeviation(const float* values, size_t count) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < count; ++i) {
    sum += values[i];
    squares += double{values[i]} * values[i];
  }
  const double mean = sum / count;
  return std::sqrt(squares / count - mean * mean);
}

}  // namespace

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

double LatentDifference(const std::vector<float>& mine, const float* expected) {
  double largest = 0;
  for (size_t i = 0; i < mine.size(); ++i) {
    largest = std::max(largest, std::abs(double{mine[i]} - expected[i]));
  }
  return largest / StandardDeviation(expected, mine.size());
}

double LatentRms(const std::vector<float>& mine, const float* expected) {
  double squares = 0;
  for (size_t i = 0; i < mine.size(); ++i) {
    squares += (double{mine[i]} - expected[i]) * (double{mine[i]} - expected[i]);
  }
  return std::sqrt(squares / mine.size()) / StandardDeviation(expected, mine.size());
}

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

}  // namespace cogwheel
