#include "server/dispatch/running_job.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "tests/support/memory_results.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RunningJobTest : public testing::Test {
 protected:
  static RunningJob::Time At(int second) { return RunningJob::Time(seconds(second)); }
  RunningJob Make(int32_t charges = 0, int steps = 0) {
    Job job;
    job.name = "jobs/1";
    job.attempt = 3;
    job.charges = charges;
    job.image = std::make_shared<const std::string>("image");
    QueuedJob queued;
    queued.attempt = 2;
    queued.deadline = At(100);
    queued.size.steps = steps;
    return RunningJob(job, queued, results_.Begin("jobs/1", 1, 3).value(), At(10));
  }
  const GroupLoss lost_ = {MakeError(absl::StatusCode::kUnavailable, "GROUP_LOST", "lost"), true};

  MemoryResults results_;
};

TEST_F(RunningJobTest, GoesBackWithTheAttemptThatItHadAndHoldsNoImage) {
  const RunningJob running = Make();
  EXPECT_EQ(3, running.queued().attempt);
  EXPECT_EQ(nullptr, running.job().image);
  EXPECT_EQ(5, running.SecondsSinceStart(At(15)));
  EXPECT_EQ(std::nullopt, running.SecondsSinceCancel(At(15)));
}

TEST_F(RunningJobTest, RunsAgainUntilItsThirdCharge) {
  EXPECT_FALSE(Make(/*charges=*/1).EndWhenLost(lost_).has_value());
  EXPECT_FALSE(Make(/*charges=*/2).EndWhenLost({lost_.why, /*charged=*/false}).has_value());
  const std::optional<JobEnd> end = Make(/*charges=*/2).EndWhenLost(lost_);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(JobState::kFailed, end->state);
  EXPECT_EQ("GROUP_LOST", end->error.reason);
}

TEST_F(RunningJobTest, AnErrorOfItsOwnFailsItWhateverItsCharges) {
  const absl::Status memory =
      MakeError(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", "too large");
  const std::optional<JobEnd> end =
      Make().EndWhenLost({lost_.why, /*charged=*/false, /*job_error=*/memory});
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(JobState::kFailed, end->state);
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, end->error.code);
  EXPECT_EQ("OUT_OF_MEMORY", end->error.reason);
}

TEST_F(RunningJobTest, WhatWasAskedForIsItsEndWhenTheAttemptIsLostOrRefused) {
  RunningJob cancelled = Make();
  EXPECT_TRUE(cancelled.Cancel(At(20)));
  EXPECT_FALSE(cancelled.Cancel(At(30)));
  EXPECT_DOUBLE_EQ(15, *cancelled.SecondsSinceCancel(At(35)));
  EXPECT_EQ(JobState::kCancelled, cancelled.EndWhenLost(lost_)->state);
  EXPECT_EQ(JobState::kCancelled, cancelled.EndWhenRefused(lost_.why).state);
  RunningJob late = Make();
  EXPECT_FALSE(late.Expire(At(99)));
  EXPECT_TRUE(late.Expire(At(100)));
  EXPECT_FALSE(late.Expire(At(101)));
  EXPECT_EQ(JobState::kExpired, late.EndWhenLost(lost_)->state);
}

// After half a second, or a hundredth of a job that takes longer than 50 s.
TEST_F(RunningJobTest, ProgressIsToldAgainAsOftenAsTheJobIsLong) {
  for (const auto& [steps, silence] :
       {std::pair(10, milliseconds(500)), std::pair(200, milliseconds(2000))}) {
    RunningJob running = Make(/*charges=*/0, steps);
    running.OnStarted({}, JobCosts{.step = 1});  // so many seconds in all
    EXPECT_FALSE(running.TellAgain(At(20))) << "nothing was told yet";
    running.OnProgress({RunStage::kDenoise, 0, steps}, At(10));
    EXPECT_FALSE(running.TellAgain(At(10) + silence - milliseconds(50)));
    EXPECT_TRUE(running.TellAgain(At(10) + silence + milliseconds(50)));
    EXPECT_FALSE(running.TellAgain(At(10) + silence + milliseconds(100)));
  }
}

TEST_F(RunningJobTest, AResultThatCannotBeTakenFailsItWhateverTheGroupSays) {
  RunningJob running = Make();
  EXPECT_TRUE(running.Append(0, "whole").ok());
  EXPECT_FALSE(running.result_failed());
  const std::string huge(kMaxChunkBytes + 1, 'x');
  EXPECT_EQ("RESULT_CHUNK", ErrorReason(running.Append(5, huge)));
  EXPECT_EQ("RESULT_CHUNK", ErrorReason(running.Append(5, "next")));  // the first error stays
  EXPECT_TRUE(running.result_failed());
  const std::optional<JobEnd> lost = running.EndWhenLost({lost_.why, /*charged=*/false});
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ("RESULT_CHUNK", lost->error.reason);
  EXPECT_EQ("RESULT_CHUNK", running.EndWhenFinished({}).error.reason);
}

}  // namespace
}  // namespace cogwheel
