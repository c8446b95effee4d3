#include "server/streams/holders.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

Job HeldJob(const std::string& name = "jobs/1") {
  Job job;
  job.name = name;
  job.tenant = "t";
  job.held = true;
  return job;
}

class HoldersTest : public testing::Test {
 protected:
  // The jobs whose cancellation is asked for now.
  std::vector<std::string> Tick() {
    std::vector<std::string> asked;
    holders_.Tick([&](const std::string& tenant, const std::string& job, Answer<Job> done) {
      EXPECT_EQ("t", tenant);
      asked.push_back(job);
      done_ = std::move(done);
    });
    return asked;
  }
  std::vector<std::string> TickAfter(milliseconds time) {
    clock_.Advance(time);
    return Tick();
  }

  FakeClock clock_;
  Holders holders_{clock_, seconds(15)};
  Answer<Job> done_;
};

TEST_F(HoldersTest, AJobIsCancelledAGraceAfterItsLastHolderHasLeft) {
  holders_.Hold(HeldJob());
  holders_.Hold(HeldJob());
  EXPECT_THAT(TickAfter(seconds(100)), IsEmpty());
  holders_.LetGo("jobs/1", StreamEnd::kCallerLeft);
  EXPECT_THAT(TickAfter(seconds(100)), IsEmpty());
  holders_.LetGo("jobs/1", StreamEnd::kCallerLeft);
  EXPECT_THAT(TickAfter(milliseconds(14'999)), IsEmpty());
  EXPECT_THAT(TickAfter(milliseconds(1)), ElementsAre("jobs/1"));
  EXPECT_THAT(TickAfter(seconds(1)), IsEmpty());  // it is being asked for
  done_(HeldJob());
  EXPECT_EQ(0, holders_.size());
}

TEST_F(HoldersTest, WhoTakesItUpWithinTheGraceKeepsIt) {
  holders_.Hold(HeldJob());
  holders_.LetGo("jobs/1", StreamEnd::kCallerLeft);
  EXPECT_THAT(TickAfter(milliseconds(14'999)), IsEmpty());
  holders_.Hold(HeldJob());
  EXPECT_THAT(TickAfter(seconds(100)), IsEmpty());
  holders_.LetGo("jobs/1", StreamEnd::kCallerLeft);  // the grace begins anew
  EXPECT_THAT(TickAfter(milliseconds(14'999)), IsEmpty());
  EXPECT_THAT(TickAfter(milliseconds(1)), ElementsAre("jobs/1"));
}

TEST_F(HoldersTest, WhatTheServerDoesIsNoLeaving) {
  holders_.Hold(HeldJob());
  holders_.LetGo("jobs/1", StreamEnd::kServer);
  EXPECT_THAT(TickAfter(seconds(100)), IsEmpty());
  EXPECT_EQ(0, holders_.size());
  holders_.Hold(HeldJob());  // it came again, and left
  holders_.LetGo("jobs/1", StreamEnd::kCallerLeft);
  EXPECT_THAT(TickAfter(seconds(15)), ElementsAre("jobs/1"));
}

TEST_F(HoldersTest, ANewJobIsExpectedToBeHeld) {
  holders_.Expect(HeldJob("jobs/1"));
  holders_.Expect(HeldJob("jobs/2"));
  holders_.Hold(HeldJob("jobs/2"));
  holders_.Hold(HeldJob("jobs/3"));
  holders_.Expect(HeldJob("jobs/3"));  // the answer to its maker may come later
  EXPECT_THAT(TickAfter(milliseconds(14'999)), IsEmpty());
  EXPECT_THAT(TickAfter(milliseconds(1)), ElementsAre("jobs/1"));
}

TEST_F(HoldersTest, WithoutAGraceAMakerHasTimeToComeAllTheSame) {
  Holders strict(clock_, seconds(0));
  strict.Expect(HeldJob());
  int asked = 0;
  const auto tick = [&] {
    strict.Tick([&](const std::string&, const std::string&, const Answer<Job>&) { ++asked; });
    return asked;
  };
  clock_.Advance(milliseconds(4'999));
  EXPECT_EQ(0, tick());
  strict.Hold(HeldJob());
  strict.LetGo("jobs/1", StreamEnd::kCallerLeft);
  EXPECT_EQ(1, tick());
}

TEST_F(HoldersTest, ACancellationThatFailsIsAskedForAgain) {
  holders_.Expect(HeldJob());
  EXPECT_THAT(TickAfter(seconds(15)), ElementsAre("jobs/1"));
  done_(absl::ResourceExhaustedError("the dispatcher is behind"));
  EXPECT_THAT(TickAfter(milliseconds(999)), IsEmpty());
  EXPECT_THAT(TickAfter(milliseconds(1)), ElementsAre("jobs/1"));
  done_(absl::NotFoundError("deleted meanwhile"));
  EXPECT_EQ(0, holders_.size());
}

TEST_F(HoldersTest, AFailedCancellationOfAJobTakenUpIsLetBe) {
  holders_.Expect(HeldJob());
  EXPECT_THAT(TickAfter(seconds(15)), ElementsAre("jobs/1"));
  holders_.Hold(HeldJob());
  done_(absl::UnavailableError("store"));
  EXPECT_THAT(TickAfter(seconds(100)), IsEmpty());
}

}  // namespace
}  // namespace cogwheel
