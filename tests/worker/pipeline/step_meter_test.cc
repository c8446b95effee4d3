// What a rank tells of its job while it works: operations done, seconds waited, units of work.
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/worker/pipeline/pipeline_runner.h"

namespace cogwheel {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

JobSpec GuidedJob() {
  return {.job = "jobs/metered",
          .epoch = 1,
          .prompt = "a blue square",
          .frames = 9,
          .height = 64,
          .width = 64,
          .fps = 8,
          .steps = 3,
          .guidance_scale = 3,
          .seed = 1,
          .max_sequence_length = 13};
}

// By hand: 13 + 3·4·4 = 61 rows, d = 320, 2 layers, 2 branches, 3 steps.
constexpr double kJobOperations = 3. * 2 * 2 * (24. * 61 * 320 * 320 + 4. * 61 * 61 * 320);

// The steps of one rank.
struct Metered {
  int steps = 0;
  nanoseconds took{0}, waited{0};

  FlightRecorder::Hooks Hooks() {
    return {.on_block_end = [this](const FlightRecorder::EndedBlock& block) {
      if (block.kind != BlockKind::kStep) return;
      ++steps;
      took += block.took;
      waited += block.waited;
    }};
  }
};

class StepMeterTest : public testing::Test {
 protected:
  StepMeterTest() { BuildCheckpoint("t2v-rope", folder_.path()); }

  void ExpectMetered(const Mesh& mesh, Wire wire) {
    SCOPED_TRACE(mesh.ToString() + (wire == Wire::kSockets ? " over sockets" : " over threads"));
    std::vector<Metered> ranks(mesh.size());
    const RunResult outcome =
        RunOnMesh(folder_.path(), mesh, GuidedJob(), {}, Dtype::kFp32,
                  {.wire = wire, .hooks = [&](int rank) { return ranks[rank].Hooks(); }});
    EXPECT_EQ(outcome.errors, std::vector<std::string>(mesh.size()));
    double operations = 0;
    for (int rank = 0; rank < mesh.size(); ++rank) {
      operations += outcome.operations[rank];
      EXPECT_EQ(ranks[rank].steps, 3);
      EXPECT_LT(ranks[rank].waited, ranks[rank].took);
      EXPECT_EQ(ranks[rank].waited > nanoseconds(0), mesh.size() > 1) << "rank " << rank;
    }
    EXPECT_EQ(operations, kJobOperations);
  }

  TemporaryFolder folder_;
};

TEST_F(StepMeterTest, CountsOperationsAndWaits) {
  ExpectMetered({1, 1, 1}, Wire::kThreads);
  for (const Mesh& mesh : {Mesh{1, 1, 2}, Mesh{1, 2, 1}, Mesh{2, 1, 2}}) {
    ExpectMetered(mesh, Wire::kThreads);
    ExpectMetered(mesh, Wire::kSockets);
  }
}

// Of the small checkpoints. A decoder has conv_in, 2 residual blocks in the middle and 2 in each of
// 4 levels, and conv_out; an encoder half as many in the levels.
constexpr int kTextLayers = 2, kDecoderConvolutions = 1 + 2 * (2 + 2 * 4) + 1,
              kEncoderConvolutions = 1 + 2 * (2 + 1 * 4) + 1;
// A job's last unit ends with the job, which its watchdog tells.
constexpr int kUnderWay = 1;

// Units that ended on one rank, by name; and how many kinds of each there are.
struct Units {
  std::map<std::string, int> ended;
  std::map<std::string, std::set<int64_t>> kinds;

  FlightRecorder::Hooks Hooks() {
    return {.on_unit_end = [this](const FlightRecorder::EndedUnit& unit) {
      ++ended[std::string(unit.work.name)];
      kinds[std::string(unit.work.name)].insert(unit.work.kind);
    }};
  }
  std::string Count(const std::string& name) const {
    const auto found = ended.find(name);
    return found == ended.end() ? "0" : std::to_string(found->second);
  }
};

class UnitsTest : public testing::Test {
 protected:
  static std::vector<Units> Run(const std::string& variant, const Mesh& mesh, JobSpec spec) {
    TemporaryFolder folder;
    BuildCheckpoint(variant, folder.path());
    std::vector<Units> ranks(mesh.size());
    const RunResult outcome = RunOnMesh(folder.path(), mesh, spec, {}, Dtype::kFp32,
                                        {.hooks = [&](int rank) { return ranks[rank].Hooks(); }});
    EXPECT_EQ(outcome.errors, std::vector<std::string>(mesh.size()));
    return ranks;
  }
};

// 2 layers a step on each rank; the prompt's on world rank 0, for both branches.
TEST_F(UnitsTest, EachLayerAndConvolutionIsAUnit) {
  for (const Mesh& mesh : {Mesh{1, 1, 1}, Mesh{1, 2, 2}, Mesh{2, 1, 2}}) {
    SCOPED_TRACE(mesh.ToString());
    JobSpec spec = GuidedJob();
    spec.preview_every = 1;
    const std::vector<Units> ranks = Run("t2v-rope", mesh, spec);
    for (int rank = 0; rank < mesh.size(); ++rank) {
      EXPECT_EQ(ranks[rank].Count("layer"), "6");
      EXPECT_EQ(ranks[rank].Count("text layer") != "0", rank == 0);
      // 3 latent frames are one chunk, which is rank 0's.
      EXPECT_EQ(ranks[rank].Count("convolution") != "0", rank == 0);
    }
    const Units& first = ranks[0];
    EXPECT_EQ(first.ended.at("text layer"), 2 * kTextLayers);
    EXPECT_EQ(first.ended.at("convolution"), kDecoderConvolutions - kUnderWay);
    EXPECT_EQ(first.kinds.at("convolution").size(), kDecoderConvolutions - kUnderWay);
    EXPECT_EQ(first.kinds.at("layer").size(), 1);
  }
}

// Another step of the same job is no other kind of work, another chunk neither.
TEST_F(UnitsTest, UnitsOfOneKindAreAlike) {
  JobSpec spec = GuidedJob();
  spec.frames = 17;  // latent frames 5: chunks of 3 and 2
  const std::vector<Units> ranks = Run("t2v-rope", {1, 1, 1}, spec);
  EXPECT_EQ(ranks[0].ended.at("convolution"), 2 * kDecoderConvolutions - kUnderWay);
  EXPECT_EQ(ranks[0].kinds.at("convolution").size(), kDecoderConvolutions);
}

TEST_F(UnitsTest, APictureIsEncodedInUnitsOfItsOwn) {
  JobSpec spec = GuidedJob();
  spec.frames = 17;
  spec.has_image = true;
  spec.image_height = spec.image_width = 64;
  spec.image_rgb.assign(size_t{64} * 64 * 3, 100);
  const std::vector<Units> ranks = Run("i2v-rope15-ofs", {1, 1, 2}, spec);
  EXPECT_EQ(ranks[0].ended.at("picture convolution"), kEncoderConvolutions);
  EXPECT_EQ(ranks[1].Count("picture convolution"), "0");
  EXPECT_NE(ranks[1].Count("convolution"), "0");  // the second chunk
}

TEST_F(StepMeterTest, AnUnguidedJobTakesHalf) {
  JobSpec spec = GuidedJob();
  spec.guidance_scale = 1;
  const RunResult outcome = RunOnMesh(folder_.path(), {2, 1, 1}, spec);
  EXPECT_EQ(outcome.operations[0] + outcome.operations[1], kJobOperations / 2);
}

}  // namespace
}  // namespace cogwheel
