#include "worker/pipeline/scheduler.h"

#include <fstream>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "worker/pipeline/guidance.h"
#include "worker/pipeline/noise.h"

namespace cogwheel {
namespace {

nlohmann::json ReadJson(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

SchedulerConfig PublishedConfig(double snr_shift_scale) {
  return {.rescale_betas_zero_snr = true, .snr_shift_scale = snr_shift_scale};
}

nlohmann::json SpecificationNumbers() {
  return ReadJson(std::string(COGWHEEL_SOURCE_DIR) +
                  "/tests/worker/pipeline/testdata/cogvideox_numbers.json");
}

TEST(SchedulerTest, AlphaBarsMatchTheSpecification) {
  const nlohmann::json numbers = SpecificationNumbers();
  for (const double shift : {1.0, 3.0}) {
    const nlohmann::json& expected = numbers[shift == 1.0 ? "snr_shift_1.0" : "snr_shift_3.0"];
    const at::Tensor bars = AlphaBars(PublishedConfig(shift));
    for (const int t : {0, 1, 500, 998, 999}) {
      const double value = expected["alpha_bar_" + std::to_string(t)];
      EXPECT_NEAR(bars[t].item<double>(), value, 1e-12) << "shift " << shift << " t " << t;
    }
    EXPECT_EQ(bars[999].item<double>(), 0.0);
  }
}

// Guards the trailing list with NumPy's own float arithmetic, and the extra entry of N = 61.
TEST(SchedulerTest, TimestepsAreTheReferences) {
  const nlohmann::json ops = ReadJson(GoldenPath("ops.json"));
  for (const nlohmann::json& scheduler : ops["schedulers"]) {
    std::vector<int64_t> expected = scheduler["timesteps"];
    const int steps = scheduler["steps"];
    expected.resize(steps);
    EXPECT_EQ(TrailingTimesteps(1000, steps), expected) << steps << " steps";
  }
  EXPECT_THROW(TrailingTimesteps(1000, 0), std::invalid_argument);
}

struct Probe {
  double sample, prediction, old_clean, noise;
};

// One step on fp64 numbers after a step that left `old_clean` as the clean prediction.
Scheduler::Result StepOnce(Scheduler& scheduler, int step_idx, const Probe& probe) {
  const auto number = [](double value) { return at::full({1}, value, at::kDouble); };
  return scheduler.Step(step_idx, number(probe.sample), number(probe.prediction),
                        number(probe.noise));
}

// The recorded rows hold what a step does to each of its inputs.
TEST(SchedulerTest, CoefficientsAreTheReferences) {
  const nlohmann::json ops = ReadJson(GoldenPath("ops.json"));
  for (const nlohmann::json& recorded : ops["schedulers"]) {
    const bool dpm = recorded["kind"] == "dpm";
    const SchedulerKind kind = dpm ? SchedulerKind::kDpm : SchedulerKind::kDdim;
    const int steps = recorded["steps"];
    Scheduler scheduler(PublishedConfig(recorded["snr_shift_scale"]), kind, steps);
    for (int i = 0; i < steps; ++i) {
      const std::vector<double> row = recorded["rows"][i];
      EXPECT_EQ(scheduler.timesteps()[i], row[0]);
      EXPECT_EQ(scheduler.DrawCount(i), row[2]) << "step " << i << " of " << steps;
    }
    // By linearity: zero everything before step 1, then probe step 1 with a known old clean.
    const std::vector<double> first = recorded["rows"][0], second = recorded["rows"][1];
    const double old_clean = first[7] * 0.5 + first[8] * 2.0;
    StepOnce(scheduler, 0, {.sample = 0.5, .prediction = 2.0, .noise = 0.25});
    const Scheduler::Result result =
        StepOnce(scheduler, 1, {.sample = 0.75, .prediction = -1.5, .noise = 3.0});
    const double expected =
        0.75 * second[3] - 1.5 * second[4] + old_clean * second[5] + 3.0 * second[6];
    EXPECT_NEAR(result.sample.item<double>(), expected, 1e-12);
    EXPECT_NEAR(result.clean.item<double>(), 0.75 * second[7] - 1.5 * second[8], 1e-12);
  }
}

// A whole run in fp32 with the reference's draws, bit for bit: rounding, order and number of draws.
TEST(SchedulerTest, ChainsAreBitIdenticalToTheReference) {
  at::set_num_threads(1);
  const SafetensorsFile recorded(GoldenPath("ops.safetensors"));
  const std::vector<int64_t> shape = {1, 3, 4, 2, 2};
  for (const bool dpm : {false, true}) {
    for (const int steps : {7, 28, 61}) {
      const std::string name =
          std::string("chain/") + (dpm ? "dpm/" : "ddim/") + std::to_string(steps);
      const at::Tensor expected = ReadTensor(recorded, name);
      Scheduler scheduler(PublishedConfig(1.0), dpm ? SchedulerKind::kDpm : SchedulerKind::kDdim,
                          steps);
      NoiseStream noise(77, at::kFloat);
      at::Tensor sample = noise.Draw(shape);
      ASSERT_TRUE(at::equal(sample, expected[0]));
      for (int i = 0; i < steps; ++i) {
        const at::Generator generator = at::detail::createCPUGenerator(9000 + i);
        const at::Tensor prediction =
            at::rand(shape, generator, at::kFloat).sub_(0.5).mul_(std::sqrt(12.0)).add_(0.0);
        at::Tensor drawn;
        for (int draw = 0; draw < scheduler.DrawCount(i); ++draw) drawn = noise.Draw(shape);
        sample = scheduler.Step(i, sample, prediction, drawn).sample;
        ASSERT_TRUE(at::equal(sample, expected[i + 1])) << name << " step " << i;
      }
    }
  }
}

// In bf16 the products with the sample are rounded once, the prediction's side stays fp32.
TEST(SchedulerTest, HalfPrecisionSamplesGiveFp32Results) {
  Scheduler scheduler(PublishedConfig(1.0), SchedulerKind::kDpm, 10);
  const at::Tensor sample = at::ones({4}, at::kBFloat16);
  const Scheduler::Result result =
      scheduler.Step(0, sample, at::ones({4}, at::kFloat), at::ones({4}, at::kBFloat16));
  EXPECT_EQ(result.clean.scalar_type(), at::kFloat);
  EXPECT_EQ(result.sample.scalar_type(), at::kFloat);
}

TEST(GuidanceTest, DynamicScalesAreTheReferences) {
  const nlohmann::json ops = ReadJson(GoldenPath("ops.json"));
  for (const nlohmann::json& recorded : ops["dynamic_guidance"]) {
    for (const auto& [t, expected] :
         recorded["t_and_scale"].get<std::vector<std::pair<int64_t, double>>>()) {
      EXPECT_NEAR(GuidanceScaleAt(recorded["guidance_scale"], true, recorded["steps"], t), expected,
                  1e-12)
          << "t " << t;
    }
  }
  EXPECT_EQ(GuidanceScaleAt(6, false, 50, 999), 6);
}

TEST(GuidanceTest, MovesFromNegativeTowardsPositive) {
  const at::Tensor guided =
      Guide(at::full({2}, 1.0, at::kFloat), at::full({2}, 3.0, at::kFloat), 6.0);
  EXPECT_EQ(guided[0].item<float>(), 13.0f);
}

TEST(NoiseStreamTest, DrawsAreTheReferences) {
  const SafetensorsFile recorded(GoldenPath("ops.safetensors"));
  for (const uint64_t seed : {uint64_t{0}, uint64_t{42}, uint64_t{4294967301}, ~uint64_t{0}}) {
    for (const bool half : {false, true}) {
      const std::string name =
          std::string("randn/") + (half ? "bf16/" : "fp32/") + std::to_string(seed);
      NoiseStream noise(seed, half ? at::kBFloat16 : at::kFloat);
      std::vector<at::Tensor> draws;
      for (const int64_t count : {5, 40, 16, 35}) draws.push_back(noise.Draw({count}));
      EXPECT_TRUE(at::equal(at::cat(draws), ReadTensor(recorded, name))) << name;
    }
  }
}

}  // namespace
}  // namespace cogwheel
