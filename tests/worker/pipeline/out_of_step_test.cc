#include <chrono>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/fault_communicator.h"
#include "tests/worker/pipeline/pipeline_runner.h"

// R8: one rank of four skips, repeats or reorders an exchange of the real pipeline. All ranks end
// before the next block of exchanges is through, long before any time limit.
namespace cogwheel {
namespace {

constexpr Mesh kMesh{1, 2, 2};
constexpr int kSteps = 3;

struct FaultyRank {
  std::unique_ptr<FaultCommunicator> world;
  std::unique_ptr<ProgramJournal> journal;
};
using Faults = std::vector<FaultyRank>;

JobSpec Job() {
  return {.job = "jobs/r8",
          .epoch = 1,
          .job_sequence = 1,
          .prompt = "a red circle",
          .frames = 9,
          .height = 64,
          .width = 64,
          .fps = 8,
          .steps = kSteps,
          .guidance_scale = 3,
          .scheduler = SchedulerKind::kDpm,
          .seed = 1,
          .max_sequence_length = 13,
          .output = OutputKind::kLatent};
}

RunResult RunWith(const std::string& model, Faults& faults, int faulty_rank, const Fault& fault) {
  faults.clear();
  faults.resize(kMesh.size());
  const auto wrap = [&](int rank, const JobWorld::View& own) -> JobWorld::View {
    const Fault mine = rank == faulty_rank ? fault : Fault{.at_start = -1};
    faults[rank].world = std::make_unique<FaultCommunicator>(own.world, mine);
    faults[rank].journal = faults[rank].world->Journal(own.journal);
    return {*faults[rank].world, *faults[rank].journal};
  };
  return RunOnMesh(model, kMesh, Job(), {}, Dtype::kFp32, {.wrap = wrap});
}

class OutOfStepTest : public testing::TestWithParam<Fault::Kind> {
 protected:
  OutOfStepTest() { BuildCheckpoint("t2v-rope", folder_.path()); }
  TemporaryFolder folder_;
};

TEST_P(OutOfStepTest, IsFoundBeforeTheNextBlockIsThrough) {
  Faults faults;
  const RunResult undisturbed = RunWith(folder_.path(), faults, /*faulty_rank=*/-1, {});
  EXPECT_EQ(undisturbed.errors, std::vector<std::string>(4));
  const int starts = faults[0].world->starts();
  for (const int seed : {1, 2, 3}) {
    std::mt19937 chance(seed);
    const int rank = static_cast<int>(chance() % 4);
    // Not the text's broadcast, whose loss is the first block's end, and not the last exchange.
    const int at = 2 + static_cast<int>(chance() % (starts - 4));
    SCOPED_TRACE("seed " + std::to_string(seed) + ": rank " + std::to_string(rank) + ", exchange " +
                 std::to_string(at));
    const auto begin = std::chrono::steady_clock::now();
    const RunResult outcome =
        RunWith(folder_.path(), faults, rank, {.kind = GetParam(), .at_start = at});
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
    const int fault_block = faults[rank].world->fault_block();
    ASSERT_GT(fault_block, 0);
    for (int each = 0; each < kMesh.size(); ++each) {
      EXPECT_NE(outcome.errors[each], "");
      EXPECT_LE(faults[each].world->blocks(), fault_block + 1);
    }
    RecordProperty("seed" + std::to_string(seed), outcome.errors[0]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, OutOfStepTest,
                         testing::Values(Fault::Kind::kSkip, Fault::Kind::kRepeat,
                                         Fault::Kind::kReorder));

}  // namespace
}  // namespace cogwheel
