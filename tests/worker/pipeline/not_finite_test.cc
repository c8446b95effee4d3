#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/worker/pipeline/pipeline_runner.h"

// R2: values that are not finite fail their job on every rank, with the place.
namespace cogwheel {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

const Mesh kMeshes[] = {{1, 1, 1}, {1, 2, 2}};

JobSpec Job() {
  return {.job = "jobs/r2",
          .prompt = "a red circle",
          .frames = 9,
          .height = 32,
          .width = 32,
          .fps = 8,
          .steps = 3,
          .guidance_scale = 3,
          .scheduler = SchedulerKind::kDpm,
          .seed = 1,
          .max_sequence_length = 13,
          .output = OutputKind::kFrames,
          .preview_every = 1};
}

struct Plant {
  const char* part;
  const char* tensor;
  float value;
  const char* place;
};

class NotFiniteTest : public testing::Test {
 protected:
  void Build(const Plant& plant, const char* checkpoint = "t2v-rope") {
    folder_ = std::make_unique<TemporaryFolder>();
    BuildCheckpoint(checkpoint, folder_->path());
    PlantValue(folder_->path(), plant.part, plant.tensor, plant.value);
  }
  // Every rank says the same, and no frame is left that could be taken for a result's last.
  void ExpectFails(const Mesh& mesh, const JobSpec& spec, const std::string& place,
                   Dtype dtype = Dtype::kFp32) {
    SCOPED_TRACE(mesh.ToString());
    const RunResult outcome = RunOnMesh(folder_->path(), mesh, spec, {}, dtype);
    for (const std::string& error : outcome.errors) {
      EXPECT_THAT(error, testing::StartsWith("not finite: " + place + " on rank "));
      EXPECT_EQ(error, outcome.errors[0]);
    }
    for (const bool failed_alone : outcome.not_finite) EXPECT_TRUE(failed_alone);
    EXPECT_TRUE(outcome.sink.latents.empty());
  }
  std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(NotFiniteTest, IsFoundWhereItArises) {
  const Plant plants[] = {
      {"text_encoder", "encoder.final_layer_norm.weight", kNan, "text embedding"},
      {"text_encoder", "encoder.block.0.layer.1.DenseReluDense.wo.weight", kInfinity,
       "text embedding"},
      {"transformer", "proj_out.bias", kNan, "step 1 of 3"},
      {"transformer", "transformer_blocks.1.ff.net.2.bias", kInfinity, "step 1 of 3"},
      {"transformer", "transformer_blocks.0.attn1.to_v.bias", kNan, "step 1 of 3"},
      {"vae", "decoder.conv_out.conv.bias", kNan, "decoded frame 1"},
      {"vae", "decoder.conv_in.conv.weight", kInfinity, "decoded frame 1"},
  };
  for (const Plant& plant : plants) {
    SCOPED_TRACE(plant.tensor);
    Build(plant);
    for (const Mesh& mesh : kMeshes) ExpectFails(mesh, Job(), plant.place);
  }
}

TEST_F(NotFiniteTest, InLatentsAsTheResult) {
  JobSpec spec = Job();
  spec.output = OutputKind::kLatent;
  spec.steps = 1;  // nothing comes after the step
  Build({.part = "transformer", .tensor = "proj_out.bias", .value = kNan});
  for (const Mesh& mesh : {Mesh{1, 1, 2}, Mesh{1, 2, 1}, Mesh{2, 1, 2}})
    ExpectFails(mesh, spec, "step 1 of 1");
}

TEST_F(NotFiniteTest, InThePicture) {
  JobSpec spec = Job();
  spec.frames = 17;
  spec.height = 48;
  spec.width = 80;
  spec.has_image = true;
  spec.image_height = 48;
  spec.image_width = 80;
  spec.image_rgb.assign(3 * 48 * 80, 100);
  Build({.part = "vae", .tensor = "encoder.conv_out.conv.bias", .value = kNan}, "i2v-rope15-ofs");
  for (const Mesh& mesh : kMeshes) ExpectFails(mesh, spec, "encoded picture");
}

TEST_F(NotFiniteTest, InATile) {
  JobSpec spec = Job();
  spec.vae_tiling = true;
  Build({.part = "vae", .tensor = "decoder.conv_out.conv.bias", .value = kNan});
  for (const Mesh& mesh : {Mesh{1, 1, 1}, Mesh{1, 2, 2}})
    ExpectFails(mesh, spec, "decoded frame 1");
}

TEST_F(NotFiniteTest, WhatLeavesTheRangeOfHalfPrecision) {
  // Finite in fp32, as the first run shows.
  Build({.part = "transformer",
         .tensor = "transformer_blocks.0.ff.net.0.proj.weight",
         .value = 3000});
  for (const Mesh& mesh : {Mesh{1, 1, 1}, Mesh{1, 2, 2}}) {
    EXPECT_EQ(RunOnMesh(folder_->path(), mesh, Job()).errors[0], "");
    ExpectFails(mesh, Job(), "step 1 of 3", Dtype::kFp16);
  }
}

}  // namespace
}  // namespace cogwheel
