#include "server/dispatch/running_job.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/support/puppet_worker_group.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RunningJobTest : public testing::Test {
 protected:
  static RunningJob::Time At(int second) { return RunningJob::Time(seconds(second)); }
  std::shared_ptr<RunningJob> Make(int32_t charges = 0, int steps = 0) {
    QueuedJob queued;
    queued.name = "jobs/1";
    queued.attempt = 2;
    queued.deadline = At(100);
    queued.deadline_seconds = 90;
    queued.size.steps = steps;
    const auto running = std::make_shared<RunningJob>(queued, group_, At(10));
    Job job;
    job.name = "jobs/1";
    job.attempt = 3;
    job.charges = charges;
    running->OnClaimed(job);
    return running;
  }
  const GroupLoss lost_ = {MakeError(absl::StatusCode::kUnavailable, "GROUP_LOST", "lost"), true};

  const absl::Status full_ = MakeError(absl::StatusCode::kResourceExhausted, "STORE_FULL",
                                       "cannot write /data/tmp/jobs-1: No space left on device");

  PuppetObserver nobody_;
  PuppetWorkerGroup group_{"g", "tiny", nobody_};
};

TEST_F(RunningJobTest, GoesBackWithTheAttemptThatItHad) {
  const auto running = Make();
  EXPECT_EQ(3, running->queued().attempt);
  EXPECT_EQ(5, running->SecondsSinceStart(At(15)));
  EXPECT_EQ(std::nullopt, running->SecondsSinceCancel(At(15)));
}

TEST_F(RunningJobTest, RunsAgainUntilItsThirdCharge) {
  const AttemptEnd again = Make(/*charges=*/1)->EndWhenLost(lost_);
  EXPECT_FALSE(again.end.has_value());
  EXPECT_TRUE(again.charged);
  EXPECT_EQ("GROUP_LOST", again.cause.reason);
  EXPECT_FALSE(Make(/*charges=*/2)->EndWhenLost({lost_.why, /*charged=*/false}).end.has_value());
  const AttemptEnd third = Make(/*charges=*/2)->EndWhenLost(lost_);
  ASSERT_TRUE(third.end.has_value());
  EXPECT_EQ(JobState::kFailed, third.end->state);
  EXPECT_EQ("GROUP_LOST", third.end->error.reason);
}

TEST_F(RunningJobTest, AnErrorOfItsOwnFailsItWhateverItsCharges) {
  const absl::Status memory =
      MakeError(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", "too large");
  const AttemptEnd lost = Make()->EndWhenLost({lost_.why, /*charged=*/false, /*job_error=*/memory});
  ASSERT_TRUE(lost.end.has_value());
  EXPECT_EQ(JobState::kFailed, lost.end->state);
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, lost.end->error.code);
  EXPECT_EQ("OUT_OF_MEMORY", lost.end->error.reason);
}

TEST_F(RunningJobTest, WhatWasAskedForIsItsEndWhenTheAttemptIsLostOrRefused) {
  const auto cancelled = Make();
  EXPECT_TRUE(cancelled->Cancel(At(20)));
  EXPECT_FALSE(cancelled->Cancel(At(30)));
  EXPECT_DOUBLE_EQ(15, *cancelled->SecondsSinceCancel(At(35)));
  EXPECT_EQ(JobState::kCancelled, cancelled->EndWhenLost(lost_).end->state);
  EXPECT_EQ(JobState::kCancelled, cancelled->EndWhenRefused(lost_.why).end->state);
  EXPECT_EQ(JobState::kCancelled, cancelled->EndWhenFailed(full_).end->state);
  const auto late = Make();
  EXPECT_FALSE(late->Expire(At(99)));
  EXPECT_TRUE(late->Expire(At(100)));
  EXPECT_FALSE(late->Expire(At(101)));
  EXPECT_EQ(JobState::kExpired, late->EndWhenLost(lost_).end->state);
  EXPECT_EQ("the job's deadline of 90 s has passed", late->EndWhenLost(lost_).end->error.message);
}

// After half a second, or a hundredth of a job that takes longer than 50 s.
TEST_F(RunningJobTest, ProgressIsToldAgainAsOftenAsTheJobIsLong) {
  for (const auto& [steps, silence] :
       {std::pair(10, milliseconds(500)), std::pair(200, milliseconds(2000))}) {
    const auto running = Make(/*charges=*/0, steps);
    running->OnStarted({}, JobCosts{.step = 1});  // so many seconds in all
    EXPECT_FALSE(running->TellAgain(At(20))) << "nothing was told yet";
    running->OnProgress({RunStage::kDenoise, 0, steps}, At(10));
    EXPECT_FALSE(running->TellAgain(At(10) + silence - milliseconds(50)));
    EXPECT_TRUE(running->TellAgain(At(10) + silence + milliseconds(50)));
    EXPECT_FALSE(running->TellAgain(At(10) + silence + milliseconds(100)));
  }
}

// The store's failures are never the job's: it waits, uncharged, and is told no path.
TEST_F(RunningJobTest, WhatTheStoreCannotTakeRunsAgainUncharged) {
  for (const auto& running : {Make(), Make(/*charges=*/2)}) {
    EXPECT_TRUE(running->FailResult(full_));
    EXPECT_FALSE(running->FailResult(lost_.why)) << "the first error stays";
    const AttemptEnd ends[] = {running->EndWhenFailed(full_), running->EndWhenLost(lost_),
                               running->EndWhenFinished({}).value()};
    for (const AttemptEnd& end : ends) {
      EXPECT_FALSE(end.end.has_value());
      EXPECT_FALSE(end.charged);
      EXPECT_EQ("STORE_FULL", end.cause.reason);
      EXPECT_EQ("the server's disk is full", end.cause.message);
    }
  }
}

TEST_F(RunningJobTest, AResultThatIsWrongFailsItWhateverTheGroupSays) {
  const auto running = Make();
  EXPECT_TRUE(running->FailResult(MakeError(absl::StatusCode::kInternal, "RESULT_CHUNK", "big")));
  EXPECT_EQ("RESULT_CHUNK", running->EndWhenLost({lost_.why, /*charged=*/false}).end->error.reason);
  EXPECT_EQ("RESULT_CHUNK", running->EndWhenFinished({})->end->error.reason);
}

}  // namespace
}  // namespace cogwheel
