// What a rank tells of its denoising steps while it works: operations done, seconds waited.
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

TEST_F(StepMeterTest, AnUnguidedJobTakesHalf) {
  JobSpec spec = GuidedJob();
  spec.guidance_scale = 1;
  const RunResult outcome = RunOnMesh(folder_.path(), {2, 1, 1}, spec);
  EXPECT_EQ(outcome.operations[0] + outcome.operations[1], kJobOperations / 2);
}

}  // namespace
}  // namespace cogwheel
