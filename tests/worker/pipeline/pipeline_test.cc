#include "worker/pipeline/pipeline.h"

#include <atomic>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "tests/worker/pipeline/pipeline_runner.h"
#include "worker/families/cogvideox/cogvideox_family.h"

namespace cogwheel {
namespace {

JobSpec SmallJob() {
  return {.job = "jobs/small",
          .epoch = 2,
          .job_sequence = 5,
          .prompt = "a red circle",
          .frames = 9,
          .height = 64,
          .width = 64,
          .fps = 8,
          .steps = 6,
          .guidance_scale = 3,
          .scheduler = SchedulerKind::kDpm,
          .seed = 1,
          .max_sequence_length = 13};
}

const Mesh kMeshes[] = {{1, 1, 1}, {1, 1, 2}, {1, 2, 1}, {2, 1, 2}};

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() { BuildCheckpoint("t2v-rope", folder_.path()); }
  TemporaryFolder folder_;
};

// At question k the job ends on every rank at the same point, within the step that asks.
TEST_F(PipelineTest, ACancelEndsAllRanksAtTheSamePoint) {
  for (const Mesh& mesh : kMeshes) {
    for (const int cancel_at : {0, 1, 3}) {
      SCOPED_TRACE(mesh.ToString() + " at " + std::to_string(cancel_at));
      std::atomic<int> asked{0};
      const RunResult outcome = RunOnMesh(folder_.path(), mesh, SmallJob(), [&] {
        return asked++ == cancel_at ? StepCommand::kCancel : StepCommand::kRun;
      });
      for (const bool cancelled : outcome.cancelled) EXPECT_TRUE(cancelled);
      int done = 0;
      for (const RecordingSink::Progress& progress : outcome.sink.progress) {
        if (progress.stage == Stage::kDenoise) done = std::max(done, progress.step);
      }
      // Question 0 stands before the text, question k before step k.
      EXPECT_EQ(done, std::max(0, cancel_at - 1));
      EXPECT_TRUE(outcome.sink.frames.empty());
    }
  }
}

TEST_F(PipelineTest, StopIsToldApartFromCancel) {
  const RunResult outcome =
      RunOnMesh(folder_.path(), {1, 1, 2}, SmallJob(), [] { return StepCommand::kStop; });
  for (const std::string& error : outcome.errors) EXPECT_EQ(error, "the group is stopping");
}

TEST_F(PipelineTest, ProgressAndPreviewsComeFromRankZero) {
  JobSpec spec = SmallJob();
  spec.preview_every = 2;
  std::vector<uint8_t> preview;
  for (const Mesh& mesh : kMeshes) {
    SCOPED_TRACE(mesh.ToString());
    const RunResult outcome = RunOnMesh(folder_.path(), mesh, spec);
    for (const std::string& error : outcome.errors) EXPECT_EQ(error, "");
    const auto& progress = outcome.sink.progress;
    ASSERT_GE(progress.size(), 10);
    EXPECT_EQ(progress[0].stage, Stage::kTextEncode);
    EXPECT_EQ(progress[2].stage, Stage::kDenoise);
    EXPECT_EQ(progress.back().stage, Stage::kDecode);
    EXPECT_EQ(progress.back().step, progress.back().steps);
    ASSERT_EQ(outcome.sink.previews.size(), 3);
    EXPECT_EQ(outcome.sink.previews[0].size(), 64 * 64 * 3);
    EXPECT_EQ(outcome.sink.frames.size(), 9 * 64 * 64 * 3);
    // Previews of one job agree between meshes but for rounding.
    if (preview.empty()) preview = outcome.sink.previews[2];
    int largest = 0;
    for (size_t i = 0; i < preview.size(); ++i) {
      largest = std::max(largest, std::abs(preview[i] - outcome.sink.previews[2][i]));
    }
    EXPECT_LE(largest, 1);
  }
}

// An unguided job uses the second guidance half as more ring: same numbers as on a flat mesh.
TEST_F(PipelineTest, AnUnguidedJobUsesTheWholeGroup) {
  JobSpec spec = SmallJob();
  spec.guidance_scale = 1;
  spec.output = OutputKind::kLatent;
  const RunResult guided_group = RunOnMesh(folder_.path(), {2, 1, 2}, spec);
  const RunResult flat = RunOnMesh(folder_.path(), {1, 2, 2}, spec);
  EXPECT_EQ(guided_group.errors, std::vector<std::string>(4));
  EXPECT_EQ(guided_group.sink.latents, flat.sink.latents);
  EXPECT_EQ(guided_group.planned_bytes, flat.planned_bytes);
}

// Bytes of the planned transformer buffers: 1/P of one rank's, within a tenth, on a longer clip of
// the shipped model (6 heads). A ring of 4 holds one more K/V block and the merged part beside it.
// Small tensors are not shared out.
TEST_F(PipelineTest, PlannedBytesShrinkWithTheGroup) {
  JobSpec spec = SmallJob();
  spec.frames = 49;
  spec.height = 96;
  spec.width = 96;
  constexpr int64_t kSmallTensors = 1 << 20;
  const auto planned = [&](const Mesh& mesh, int rank) {
    const PipelineOptions options{
        .model_dir = COGWHEEL_SOURCE_DIR "/models/shapes", .mesh = mesh, .world_rank = rank};
    return static_cast<double>(Pipeline::Create(*CogVideoXFamily(), options)->Plan(spec).denoise -
                               kSmallTensors);
  };
  const double alone = planned({1, 1, 1}, 0);
  for (const auto& [mesh, limit] : std::initializer_list<std::pair<Mesh, double>>{
           {{1, 1, 2}, 1.1}, {{1, 2, 1}, 1.1}, {{1, 2, 2}, 1.1}, {{1, 4, 1}, 1.2}}) {
    for (int rank = 0; rank < mesh.size(); ++rank) {
      const double share = planned(mesh, rank) / alone * mesh.size();
      RecordProperty(mesh.ToString() + " rank " + std::to_string(rank), std::to_string(share));
      EXPECT_LE(share, limit) << mesh.ToString() << " rank " << rank;
    }
  }
}

TEST_F(PipelineTest, PlanRefusesWhatTheModelCannotDo) {
  const auto pipeline = Pipeline::Create(*CogVideoXFamily(), {.model_dir = folder_.path()});
  EXPECT_GT(pipeline->Plan(SmallJob()).denoise, 0);
  JobSpec spec = SmallJob();
  spec.has_image = true;
  EXPECT_THROW(pipeline->Plan(spec), std::invalid_argument);
  spec = SmallJob();
  spec.height = 72;
  EXPECT_THROW(pipeline->Plan(spec), std::invalid_argument);
}

// A text encoder with fewer ids than its tokenizer gives: the prompt that needs one of the others
// is refused before any rank waits for its embedding.
TEST_F(PipelineTest, PlanRefusesAPromptOutsideTheVocabulary) {
  const std::string config = folder_.path() + "/text_encoder/config.json";
  nlohmann::json values = nlohmann::json::parse(std::ifstream(config));
  values["vocab_size"] = 3;  // padding, end and the unknown
  std::ofstream(config) << values.dump();
  EditTensors(folder_.path() + "/text_encoder/model.safetensors", [](auto& tensors) {
    tensors["shared.weight"] = tensors["shared.weight"].narrow(0, 0, 3);
  });
  const auto pipeline = Pipeline::Create(*CogVideoXFamily(), {.model_dir = folder_.path()});
  JobSpec spec = SmallJob();
  spec.prompt = "";
  EXPECT_NO_THROW(pipeline->Plan(spec));
  for (const char* prompt : {"a red circle", "<extra_id_0>"}) {
    spec.prompt = prompt;
    spec.negative_prompt = "";
    EXPECT_THAT([&] { pipeline->Plan(spec); },
                testing::ThrowsMessage<std::invalid_argument>(
                    testing::HasSubstr("outside of the text encoder's vocabulary of 3")));
    std::swap(spec.prompt, spec.negative_prompt);
    EXPECT_THROW(pipeline->Plan(spec), std::invalid_argument);
    spec.guidance_scale = 1;  // the negative prompt is not read
    EXPECT_NO_THROW(pipeline->Plan(spec));
    spec.guidance_scale = 3;
  }
}

}  // namespace
}  // namespace cogwheel
