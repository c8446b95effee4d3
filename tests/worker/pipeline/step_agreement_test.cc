#include "worker/pipeline/step_agreement.h"

#include <atomic>
#include <functional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/barrier.h"
#include "tests/support/journaled_ranks.h"
#include "worker/pipeline/failure.h"

namespace cogwheel {
namespace {

JobSpec SomeJob() { return {.job = "jobs/a", .epoch = 4, .job_sequence = 9, .steps = 5}; }

TEST(StepAgreementTest, AllHearRankZero) {
  SpawnJournaledRanks(3, [](Communicator& world, ProgramJournal& journal) {
    int asked = 0;
    const StepCommandSource command = [&] {
      return ++asked == 3 ? StepCommand::kCancel : StepCommand::kRun;
    };
    StepAgreement agreement(world, journal, SomeJob(), 11, command);
    EXPECT_EQ(agreement.Agree(), StepCommand::kRun);
    EXPECT_EQ(agreement.Agree(), StepCommand::kRun);
    EXPECT_THROW(agreement.AgreeToRun(), JobCancelled);
    EXPECT_EQ(asked, world.rank() == 0 ? 3 : 0);  // one rank decides
  });
}

// Whichever rank finds it, all leave at the next point of the program that all come to: after a
// step at once, from a decode when it has ended, where rank 0's own word is heard earlier.
TEST(StepAgreementTest, WhatIsNotFiniteOnOneRankIsHeardByAll) {
  for (const int failing : {0, 1, 2}) {
    for (const BlockKind kind : {BlockKind::kText, BlockKind::kStep, BlockKind::kDecode}) {
      SCOPED_TRACE(testing::Message() << "rank " << failing << " in " << BlockName(kind));
      std::atomic<int> left{0};
      SpawnJournaledRanks(3, [&](Communicator& world, ProgramJournal& journal) {
        const StepCommandSource command;
        StepAgreement agreement(world, journal, SomeJob(), 11, command);
        agreement.AgreeToRun(kind);
        if (world.rank() == failing) {
          agreement.FoundNotFinite("step 3 of 50");
          agreement.FoundNotFinite("what came of it");
        }
        const bool at_once = kind != BlockKind::kDecode || failing == 0;
        const std::string all = "not finite: step 3 of 50 on rank " + std::to_string(failing);
        try {
          agreement.AgreeToRun(kind);
          EXPECT_FALSE(at_once);
          agreement.Conclude();
          ADD_FAILURE() << "rank " << world.rank() << " has heard nothing";
        } catch (const NotFinite& heard) {
          EXPECT_EQ(heard.what(), all);
          ++left;
        }
        Barrier(world, nullptr);  // the world is whole
      });
      EXPECT_EQ(left, 3);
    }
  }
}

TEST(StepAgreementTest, TheLowestRankIsNamedAndALongPlaceIsCut) {
  SpawnJournaledRanks(3, [&](Communicator& world, ProgramJournal& journal) {
    const StepCommandSource cancel = [] { return StepCommand::kCancel; };
    StepAgreement agreement(world, journal, SomeJob(), 11, cancel);
    if (world.rank() > 0) agreement.FoundNotFinite(std::string(100, 'x'));
    EXPECT_THAT(
        [&] { agreement.Conclude(); },
        testing::ThrowsMessage<NotFinite>("not finite: " + std::string(63, 'x') + " on rank 1"));
  });
}

// A result that is complete is not cancelled.
TEST(StepAgreementTest, TheEndAsksForNoCommand) {
  SpawnJournaledRanks(2, [](Communicator& world, ProgramJournal& journal) {
    const StepCommandSource cancel = [] { return StepCommand::kCancel; };
    StepAgreement agreement(world, journal, SomeJob(), 11, cancel);
    EXPECT_NO_THROW(agreement.Conclude());
  });
}

// Each field of the agreement is checked; a rank that stands elsewhere ends the group.
TEST(StepAgreementTest, ARankThatStandsElsewhereEndsTheGroup) {
  for (const int field : {0, 1, 2, 3}) {
    SCOPED_TRACE(field);
    EXPECT_THROW(SpawnJournaledRanks(2,
                                     [field](Communicator& world, ProgramJournal& journal) {
                                       JobSpec spec = SomeJob();
                                       uint64_t hash = 11;
                                       if (world.rank() == 1) {
                                         spec.epoch += field == 0;
                                         spec.job_sequence += field == 1;
                                         hash += field == 2;
                                       }
                                       const StepCommandSource command;
                                       StepAgreement agreement(world, journal, spec, hash, command);
                                       if (field == 3 && world.rank() == 0) {
                                         StepAgreement other(world, journal, spec, hash, command);
                                         other.Agree();
                                         other.Agree();
                                         other.Close();
                                         return;
                                       }
                                       agreement.Agree();
                                       if (field != 3) return;
                                       StepAgreement again(world, journal, spec, hash, command);
                                       again.Agree();  // hears point 1, stands at point 0
                                     }),
                 CommError);
  }
}

// An exchange that one rank alone has issued, though it disturbed nobody, is found at the next
// point.
TEST(StepAgreementTest, ExchangesIssuedSoFarAreCompared) {
  for (const int rank : {0, 1}) {
    const auto work = [rank](Communicator& world, ProgramJournal& journal) {
      const StepCommandSource command;
      StepAgreement agreement(world, journal, SomeJob(), 11, command);
      agreement.Agree();
      if (world.rank() == rank) Exchange(world, {}, {}, nullptr);
      agreement.Agree();
      Barrier(world, nullptr);
    };
    EXPECT_THROW(SpawnJournaledRanks(2, work), CommError);
  }
}

// The words by which failure.cc tells it from a lost peer.
TEST(StepAgreementTest, SaysThatItIsOutOfStep) {
  const auto differ = [](Communicator& world, ProgramJournal& journal) {
    const StepCommandSource command;
    StepAgreement agreement(world, journal, SomeJob(), /*plan_hash=*/world.rank(), command);
    agreement.Agree();
  };
  EXPECT_THAT([&] { SpawnJournaledRanks(2, differ); },
              testing::ThrowsMessage<CommError>(testing::HasSubstr("out of step")));
}

TEST(PlanHashTest, EveryFieldThatShapesTheProgramCounts) {
  const Mesh mesh{1, 2, 2};
  const uint64_t hash = PlanHash(SomeJob(), mesh);
  EXPECT_EQ(PlanHash(SomeJob(), mesh), hash);
  EXPECT_NE(PlanHash(SomeJob(), {1, 4, 1}), hash);
  const std::function<void(JobSpec&)> changes[] = {
      [](JobSpec& spec) { spec.job = "jobs/b"; },
      [](JobSpec& spec) { spec.prompt = "x"; },
      [](JobSpec& spec) { spec.negative_prompt = "x"; },
      [](JobSpec& spec) { spec.has_image = true; },
      [](JobSpec& spec) { ++spec.frames; },
      [](JobSpec& spec) { ++spec.height; },
      [](JobSpec& spec) { ++spec.width; },
      [](JobSpec& spec) { ++spec.fps; },
      [](JobSpec& spec) { ++spec.steps; },
      [](JobSpec& spec) { spec.guidance_scale = 1.5; },
      [](JobSpec& spec) { spec.dynamic_cfg = true; },
      [](JobSpec& spec) { spec.scheduler = SchedulerKind::kDpm; },
      [](JobSpec& spec) { ++spec.seed; },
      [](JobSpec& spec) { ++spec.max_sequence_length; },
      [](JobSpec& spec) { spec.vae_tiling = true; },
      [](JobSpec& spec) { spec.output = OutputKind::kLatent; },
      [](JobSpec& spec) { ++spec.preview_every; },
  };
  std::set<uint64_t> hashes = {hash};
  for (const auto& change : changes) {
    JobSpec spec = SomeJob();
    change(spec);
    EXPECT_TRUE(hashes.insert(PlanHash(spec, mesh)).second) << &change - changes;
  }
  // The picture stays with rank 0: the hash must not know it.
  JobSpec spec = SomeJob();
  spec.image_rgb = {1, 2, 3};
  spec.image_height = 1;
  EXPECT_EQ(PlanHash(spec, mesh), hash);
}

}  // namespace
}  // namespace cogwheel
