#include "server/events/job_event.h"

#include <chrono>
#include <limits>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

constexpr JobState kStates[] = {JobState::kQueued, JobState::kRunning,   JobState::kSucceeded,
                                JobState::kFailed, JobState::kCancelled, JobState::kExpired};

Job EndedJob(JobState state) {
  Job job;
  job.name = "jobs/1";
  job.state = state;
  job.attempt = 2;
  job.create_time = Job::WallTime(std::chrono::seconds(10));
  job.start_time = Job::WallTime(std::chrono::seconds(20));
  job.end_time = Job::WallTime(std::chrono::seconds(30));
  job.last_sequence = 77;
  return job;
}

TEST(JobEvent, EachStateHasThePublicNameAndComesBack) {
  for (const JobState state : kStates) {
    EXPECT_EQ(JobStateName(state), v1::JobState_Name(ToProto(state)));
    EXPECT_EQ(state, FromProto(ToProto(state)));
  }
}

TEST(JobEvent, AStateThatTheApiDoesNotKnowIsNoState) {
  for (const int unknown : {0, -1, 7, std::numeric_limits<int>::min()}) {
    EXPECT_EQ(std::nullopt, FromProto(static_cast<v1::JobState>(unknown))) << unknown;
  }
}

TEST(JobEvent, EachStageHasItsOwn) {
  EXPECT_EQ(v1::STAGE_TEXT_ENCODE, ToProto(RunStage::kTextEncode));
  EXPECT_EQ(v1::STAGE_DENOISE, ToProto(RunStage::kDenoise));
  EXPECT_EQ(v1::STAGE_DECODE, ToProto(RunStage::kDecode));
}

TEST(JobEvent, TheLastOneSaysHowTheJobEnded) {
  Job job = EndedJob(JobState::kSucceeded);
  job.result = Artefact{5, "ab", "video/mp4"};
  const v1::JobEvent succeeded = TerminalEvent(job);
  EXPECT_EQ("jobs/1", succeeded.job());
  EXPECT_EQ(2, succeeded.attempt());
  EXPECT_EQ(77, succeeded.sequence());
  EXPECT_EQ(30, succeeded.time().seconds());
  EXPECT_EQ(5, succeeded.succeeded().size_bytes());
  EXPECT_EQ("ab", succeeded.succeeded().sha256());
  EXPECT_EQ("video/mp4", succeeded.succeeded().media_type());
  const JobError why = {absl::StatusCode::kInternal, "WHY", "because"};
  job = EndedJob(JobState::kFailed);
  job.error = why;
  EXPECT_EQ("WHY", TerminalEvent(job).failed().error().reason());
  EXPECT_EQ("because", TerminalEvent(job).failed().error().message());
  EXPECT_EQ(static_cast<int>(why.code), TerminalEvent(job).failed().error().code());
  job.state = JobState::kCancelled;
  EXPECT_EQ("WHY", TerminalEvent(job).cancelled().error().reason());
  job.state = JobState::kExpired;
  EXPECT_EQ("WHY", TerminalEvent(job).expired().error().reason());
}

TEST(JobEvent, ASnapshotIsTheJobWithTheTimeOfItsLastChange) {
  Job job = EndedJob(JobState::kFailed);
  job.stage_seconds.denoise = 1.5;
  const v1::JobEvent ended = SnapshotEvent(job, 76);
  EXPECT_EQ(76, ended.sequence());
  EXPECT_EQ(v1::FAILED, ended.snapshot().state());
  EXPECT_EQ(30, ended.time().seconds());
  EXPECT_EQ(500'000'000, ended.snapshot().stage_times().denoise().nanos());
  job.state = JobState::kRunning;
  job.end_time.reset();
  EXPECT_EQ(20, SnapshotEvent(job, 76).time().seconds());
  EXPECT_FALSE(SnapshotEvent(job, 76).snapshot().has_stage_times());
}

}  // namespace
}  // namespace cogwheel
