// What a job is said to take of memory, held against what it takes.
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/ATen.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/journaled_ranks.h"
#include "tests/support/peak_bytes.h"
#include "tests/worker/pipeline/pipeline_runner.h"
#include "worker/families/cogvideox/cogvideox_family.h"
#include "worker/families/cogvideox/footprint.h"
#include "worker/families/cogvideox/text_encoder.h"
#include "worker/families/cogvideox/vae.h"
#include "worker/families/cogvideox/vae_footprint.h"
#include "worker/pipeline/memory_plan.h"

namespace cogwheel {
namespace {

constexpr int64_t kMebi = 1 << 20;

JobSpec ShapesJob() {
  return {.job = "jobs/m",
          .prompt = "a red circle moving up",
          .frames = 17,
          .height = 96,
          .width = 128,
          .fps = 8,
          .steps = 2,
          .guidance_scale = 3,
          .scheduler = SchedulerKind::kDpm,
          .seed = 5,
          .max_sequence_length = 32,
          .preview_every = 1};
}

constexpr char kShapes[] = COGWHEEL_SOURCE_DIR "/models/shapes";

// A stage's bound is one, and no loose one.
void ExpectBound(const char* stage, int64_t bound, int64_t measured) {
  testing::Test::RecordProperty(stage, std::to_string(bound) + " for " + std::to_string(measured));
  EXPECT_LE(measured, bound) << stage;
  EXPECT_LE(bound, 2 * measured + 2 * kMebi) << stage;
}

// What was measured is planned from then on, with a sixteenth on top.
int64_t Measured(int64_t planned) { return planned / 17 * 16; }

void ExpectBounds(const std::string& model_dir, const JobSpec& spec, Dtype dtype = Dtype::kFp32) {
  const auto pipeline =
      Pipeline::Create(*CogVideoXFamily(), {.model_dir = model_dir, .dtype = dtype});
  const auto ranks = MakeJournaledWorld(1, std::chrono::seconds(60));
  const JournaledWorld& world = ranks[0].world;
  const JobFootprint bound = pipeline->Plan(spec);
  RecordingSink sink;
  pipeline->Run(spec, *world.communicator, *world.journal, sink, {});
  const JobFootprint planned = pipeline->Plan(spec);
  ExpectBound("text", bound.text, Measured(planned.text));
  ExpectBound("denoise", bound.denoise, Measured(planned.denoise));
  ExpectBound("decode", bound.decode, Measured(planned.decode));
  if (spec.has_image) ExpectBound("picture", bound.picture, Measured(planned.picture));
}

TEST(MemoryBoundTest, TheShippedModel) {
  JobSpec spec = ShapesJob();
  // The second chunk, of 2 latent frames, takes more than the first, of 3.
  spec.height = 64;
  spec.width = 80;
  ExpectBounds(kShapes, spec);
  spec.frames = 1;
  spec.guidance_scale = 1;
  spec.scheduler = SchedulerKind::kDdim;
  ExpectBounds(kShapes, spec);
}

TEST(MemoryBoundTest, Tiles) {
  JobSpec spec = ShapesJob();
  spec.frames = 1;
  spec.vae_tiling = true;
  ExpectBounds(kShapes, spec);
}

TEST(MemoryBoundTest, Halves) {
  JobSpec spec = ShapesJob();
  spec.frames = 1;
  spec.height = spec.width = 48;
  ExpectBounds(kShapes, spec, Dtype::kBf16);
  ExpectBounds(kShapes, spec, Dtype::kFp16);
}

class MemoryBoundTestOf : public testing::TestWithParam<const char*> {};

TEST_P(MemoryBoundTestOf, EveryKindOfModel) {
  TemporaryFolder folder;
  BuildCheckpoint(GetParam(), folder.path());
  const CheckpointConfigs configs = ReadCheckpointConfigs(folder.path());
  const TransformerConfig& config = configs.transformer;
  JobSpec spec = ShapesJob();
  spec.frames = config.version_1_5() ? 17 : 9;
  spec.height = spec.width = 64;
  if (config.use_learned_positional_embeddings) {
    spec.height = static_cast<int>(kPixelsPerLatent * config.sample_height);
    spec.width = static_cast<int>(kPixelsPerLatent * config.sample_width);
  }
  spec.max_sequence_length = static_cast<int>(config.max_text_seq_length);
  spec.has_image = configs.model_index.image_to_video();
  if (spec.has_image) {
    spec.image_height = 200;
    spec.image_width = 300;
    spec.image_rgb.resize(200 * 300 * 3);
  }
  ExpectBounds(folder.path(), spec);
}

INSTANTIATE_TEST_SUITE_P(Variants, MemoryBoundTestOf,
                         testing::Values("t2v-sincos", "t2v-rope", "i2v-learned", "t2v-rope15",
                                         "i2v-rope15-ofs"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

// Channels and tokens of the published models: what is small there is not what is small here.
TEST(MemoryBoundTest, WiderNetworks) {
  CountCpuMemory();
  const MemoryMeter meter(at::kCPU);
  const auto peak_of = [&](const auto& work) {
    const int64_t before = meter.Held();
    meter.Restart();
    work();
    return meter.Peak() - before;
  };
  const at::Tensor latents = at::randn({1, 16, 2, 6, 6});
  const VaeConfig wide = {.block_out_channels = {64, 128, 128, 256}, .layers_per_block = 1};
  const auto vae = Vae::Load(wide, RandomWeights(), at::kCPU, at::kFloat, /*with_encoder=*/false);
  const ChunkNumbers numbers =
      DecodeChunkNumbers(wide, {.frames = 2, .height = 6, .width = 6}, ConvMethod::kBySize);
  ExpectBound("chunk", (numbers.peak + numbers.carry) * 4, peak_of([&] {
                CarryTable carry;
                vae->DecodeChunk(latents, carry);
              }));
  const TextEncoderConfig config = {.d_model = 512, .d_ff = 1280, .num_layers = 1};
  const TextEncoder encoder(config, RandomWeights(), at::kCPU, at::kFloat);
  ExpectBound("text", EncodeTextBytes(config, 226, 4),
              peak_of([&] { encoder.Encode(std::vector<int64_t>(226, 1)); }));
}

// Of the tensors of each rank: messages are not of ATen's allocator.
TEST(MemoryBoundTest, EveryRankOfAMesh) {
  // 33 frames are 4 chunks: two rounds of the decode.
  const std::tuple<Mesh, OutputKind, int> cases[] = {{{1, 1, 2}, OutputKind::kFrames, 17},
                                                     {{1, 1, 2}, OutputKind::kFrames, 33},
                                                     {{1, 2, 1}, OutputKind::kLatent, 17},
                                                     {{1, 2, 2}, OutputKind::kLatent, 17},
                                                     {{2, 1, 2}, OutputKind::kFrames, 17}};
  for (const auto& [mesh, output, frames] : cases) {
    JobSpec spec = ShapesJob();
    spec.frames = frames;
    spec.steps = 1;
    spec.output = output;
    if (output == OutputKind::kFrames) spec.height = spec.width = 48;
    SpawnJournaledRanks(mesh.size(), [&](Communicator& world, ProgramJournal& journal) {
      const std::string rank = mesh.ToString() + " rank " + std::to_string(world.rank());
      const auto pipeline = Pipeline::Create(
          *CogVideoXFamily(), {.model_dir = kShapes, .mesh = mesh, .world_rank = world.rank()});
      const JobFootprint bound = pipeline->Plan(spec);
      EXPECT_GT(bound.exchange, 0) << rank;
      const auto held = std::make_shared<PeakBytes>();
      RecordingSink sink;
      {
        const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, held);
        pipeline->Run(spec, world, journal, sink, {});
      }
      ExpectBound(rank.c_str(), bound.peak() - bound.exchange, held->peak());
    });
  }
}

// What a rank loads, to the byte.
TEST(MemoryBoundTest, Weights) {
  CountCpuMemory();
  const MemoryMeter meter(at::kCPU);
  for (const int rank : {0, 1}) {
    const LoadOptions options = {.model_dir = kShapes, .world_rank = rank};
    const int64_t counted = CogVideoXFamily()->CountFootprints(options)->WeightBytes(rank);
    const int64_t before = meter.Held();
    const auto model = CogVideoXFamily()->Load(options);
    EXPECT_GE(meter.Held() - before, counted);
    EXPECT_LE(meter.Held() - before, counted + counted / 50);  // malloc's own, and small tables
  }
}

// Takes so many bytes a pixel.
class FakeFootprints final : public Footprints {
 public:
  JobFootprint Bound(const JobShape& shape, const RankPlace&) const override {
    if (shape.size.height % 16 != 0 || shape.size.width % 16 != 0) {
      ADD_FAILURE() << shape.size.height << " x " << shape.size.width;
    }
    const int64_t pixels = int64_t{shape.size.frames} * shape.size.height * shape.size.width;
    return {.text = 1000, .denoise = 3 * pixels, .decode = 10 * pixels};
  }
  int64_t WeightBytes(int) const override { return 0; }
  int frames_multiple() const override { return multiple; }
  bool fixed_size() const override { return fixed; }
  int multiple = 8;
  bool fixed = false;
};

ClipSize Nearest(const ClipSize& asked, int64_t pixels, int multiple = 8) {
  FakeFootprints footprints;
  footprints.multiple = multiple;
  const auto found = LargestThatFits(footprints, {}, {.size = asked}, 10 * pixels);
  return found.value_or(ClipSize{});
}

// Of all that is no longer and no larger than what was asked for, the most frames times pixels.
TEST(NearestSizeTest, IsTheLargestLegalOne) {
  EXPECT_EQ(Nearest({17, 96, 128}, 17 * 96 * 128), (ClipSize{17, 96, 128}));
  // One row of patches less, or 9 frames as they were asked for: 17 · 80 · 96 are more.
  EXPECT_EQ(Nearest({17, 96, 128}, 17 * 96 * 128 - 1), (ClipSize{17, 80, 96}));
  EXPECT_EQ(Nearest({17, 96, 128}, 9 * 96 * 128), (ClipSize{9, 96, 128}));
  EXPECT_EQ(Nearest({33, 96, 128}, 25 * 96 * 128, /*multiple=*/16), (ClipSize{33, 80, 96}));
  EXPECT_EQ(Nearest({17, 96, 128}, 256), (ClipSize{1, 16, 16}));
  EXPECT_EQ(Nearest({17, 96, 128}, 255), ClipSize{});
  // A narrow clip cannot lose height for ever.
  EXPECT_EQ(Nearest({1, 256, 16}, 16 * 100), ClipSize{});
}

TEST(RefusalTest, NamesWhatIsAskedAndWhatIsFree) {
  EXPECT_EQ(RefusalText({.text = 5, .denoise = 5'213'000'001, .decode = 7},
                        {.bytes = 1'702'999'999, .limit = "cgroup memory.max"},
                        "17 frames at 240x368 would fit"),
            "denoise needs 5214 MB, 1702 MB are free (cgroup memory.max); "
            "17 frames at 240x368 would fit");
  EXPECT_EQ(RefusalText({.denoise = 1, .decode = 3'000'000, .exchange = 2'000'000},
                        {.bytes = 0, .limit = "ulimit -v"}, "x"),
            "decode needs 5 MB, 0 MB are free (ulimit -v); x");
}

constexpr JobShape kShape = {.size = {9, 64, 64}}, kOther = {.size = {9, 64, 80}};

at::Tensor Megabytes(int64_t count) {
  return at::empty({count * kMebi}, at::TensorOptions(at::kByte));
}

// A stage that has run is planned as it was measured, at the most of its runs, and a sixteenth on
// top; other stages and shapes stay what they were.
TEST(MeasuredPlanTest, KeepsWhatAStageTook) {
  CountCpuMemory();
  const FakeFootprints footprints;
  MemoryPlan plan(footprints, {}, at::kCPU, /*host_ranks=*/1);
  const JobFootprint bound = plan.Expect(kShape);
  for (const int64_t took : {8, 16, 4}) {
    MemoryPlan::Run run(plan, kShape);
    Megabytes(took);
    run.EndStage(&JobFootprint::denoise);
    Megabytes(1);
  }
  EXPECT_NEAR(plan.Expect(kShape).denoise, 17 * kMebi, 1 << 16);
  EXPECT_EQ(plan.Expect(kShape).decode, bound.decode);
  EXPECT_EQ(plan.Expect(kOther), footprints.Bound(kOther, {}));
}

// What a stage leaves for the next counts there too.
TEST(MeasuredPlanTest, AStageStartsWithWhatIsHeld) {
  CountCpuMemory();
  const FakeFootprints footprints;
  MemoryPlan plan(footprints, {}, at::kCPU, /*host_ranks=*/1);
  const at::Tensor weights = Megabytes(32);
  MemoryPlan::Run run(plan, kShape);
  const at::Tensor text = Megabytes(8);
  run.EndStage(&JobFootprint::text);
  Megabytes(8);
  run.EndStage(&JobFootprint::denoise);
  EXPECT_NEAR(plan.Expect(kShape).text, 17 * kMebi / 2, 1 << 16);
  EXPECT_NEAR(plan.Expect(kShape).denoise, 17 * kMebi, 1 << 16);
}

// 100 TB, which no machine of a test has: of the job's room, not of malloc's.
TEST(MeasuredPlanTest, AJobIsHeldToItsRoom) {
  CountCpuMemory();
  const FakeFootprints footprints;
  MemoryPlan plan(footprints, {}, at::kCPU, /*host_ranks=*/1);
  plan.CheckRoom(kShape);
  const MemoryPlan::Run run(plan, kShape);
  EXPECT_NO_THROW(Megabytes(1));
  EXPECT_THROW(Megabytes(100'000'000), c10::OutOfMemoryError);
}

std::string Refusal(const FakeFootprints& footprints, const JobShape& shape) {
  try {
    MemoryPlan(footprints, {}, at::kCPU, /*host_ranks=*/1).CheckRoom(shape);
  } catch (const c10::OutOfMemoryError& refused) {
    return refused.what_without_backtrace();
  }
  return "";
}

// 10 TB, which no machine of a test has.
TEST(RefusalTest, SaysTheWayOut) {
  FakeFootprints footprints;
  const JobShape huge = {.size = {10001, 8000, 16000}};
  EXPECT_THAT(Refusal(footprints, huge), testing::HasSubstr(" would fit"));
  EXPECT_THAT(Refusal(footprints, huge), testing::HasSubstr("decode needs 12801280 MB, "));
  footprints.fixed = true;
  EXPECT_THAT(Refusal(footprints, huge), testing::HasSubstr("no other size; more ranks"));
  EXPECT_EQ(Refusal(footprints, kShape), "");
}

}  // namespace
}  // namespace cogwheel
