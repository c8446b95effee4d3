#include "server/dispatch/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "server/events/job_event.h"
#include "server/schedule/placement.h"
#include "tests/server/dispatch/dispatcher_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(DispatcherTest, RunsAJobToItsResult) {
  const std::string name = Accepted();
  ASSERT_EQ(1, group_.orders.size());
  EXPECT_EQ(name, group_.orders[0].job);
  EXPECT_EQ(1, group_.orders[0].attempt);
  EXPECT_EQ(11, group_.orders[0].request.seed());
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  EXPECT_EQ(7, Get(name).epoch);
  EXPECT_EQ(1, dispatcher_.unfinished());
  group_.Start();
  Pass(seconds(2));
  group_.Progress({RunStage::kDenoise, 1, 10});
  group_.Chunk(0, "ab");
  group_.Chunk(2, "c");
  group_.End(Done("abc"));
  const Job job = Get(name);
  EXPECT_EQ(JobState::kSucceeded, job.state);
  EXPECT_EQ(3, job.result->size_bytes);
  EXPECT_EQ(4, job.stage_seconds.encode);
  EXPECT_EQ(seconds(2), *job.end_time - *job.start_time);
  EXPECT_THAT(Kinds(name),
              ElementsAre("queued", "started", "progress", "chunk", "chunk", "succeeded"));
  EXPECT_EQ((int64_t{1} << 32) + 4, job.last_sequence);
  EXPECT_EQ(0, dispatcher_.unfinished());
  EXPECT_EQ(0, ledger_.load().jobs);
  EXPECT_EQ("abc", results_.results.at(job.result->sha256));
}

TEST_F(DispatcherTest, OneJobAtATimeByPriorityThenAge) {
  const std::string first = Accepted();
  const std::string low = Accepted(0), middle = Accepted(4), high = Accepted(9);
  EXPECT_EQ(1, group_.orders.size());
  for (int i = 0; i < 3; ++i) {
    group_.End(Cancelled());
    loop_.RunPending();
  }
  std::vector<std::string> order;
  for (const AttemptOrder& run : group_.orders) order.push_back(run.job);
  EXPECT_THAT(order, ElementsAre(first, high, middle, low));
}

TEST_F(DispatcherTest, TellsPositionsAsTheyChange) {
  Accepted();
  const std::string waiting = Accepted(4);
  Accepted(9);
  const auto positions = [this, &waiting] {
    std::vector<int> found;
    EventLog::Next next = events_.ReadAfter(waiting, 0, /*include_video=*/false);
    for (; next.found == EventLog::Found::kEvent;
         next = events_.ReadAfter(waiting, next.sequence, /*include_video=*/false)) {
      found.push_back(next.event->queued().position());
    }
    return found;
  };
  EXPECT_THAT(positions(), ElementsAre(1, 2));
  Pass(seconds(29));
  EXPECT_THAT(positions(), ElementsAre(1, 2));
  Pass(seconds(1));  // an idle stream hears of it again
  EXPECT_THAT(positions(), ElementsAre(1, 2, 2));
  group_.End(Cancelled());
  loop_.RunPending();
  EXPECT_THAT(positions(), ElementsAre(1, 2, 2, 1));
}

TEST_F(DispatcherTest, ARunningJobThatIsSilentIsMentionedAgain) {
  const std::string name = Accepted();
  group_.Start();
  Pass(seconds(29));
  EXPECT_THAT(Kinds(name), ElementsAre("queued", "started"));
  Pass(seconds(1));
  EXPECT_THAT(Kinds(name), ElementsAre("queued", "started", "started"));
  group_.Progress({RunStage::kDenoise, 1, 10});
  Pass(seconds(29));
  EXPECT_THAT(Kinds(name), ElementsAre("queued", "started", "started", "progress"));
}

TEST_F(DispatcherTest, AQueuedJobIsCancelledAtOnce) {
  Accepted();
  const std::string name = Accepted();
  const Job job = Cancel(name).value();
  EXPECT_EQ(JobState::kCancelled, job.state);
  EXPECT_EQ(absl::StatusCode::kCancelled, job.error.code);
  EXPECT_EQ(0, group_.cancels);
  EXPECT_EQ(0, ledger_.load().jobs);
  group_.End(Cancelled());
  loop_.RunPending();
  EXPECT_EQ(1, group_.orders.size());
}

TEST_F(DispatcherTest, ARunningJobIsCancelledByItsGroup) {
  const std::string name = Accepted();
  EXPECT_EQ(JobState::kRunning, Cancel(name)->state);
  Cancel(name).IgnoreError();
  EXPECT_EQ(1, group_.cancels);
  group_.End(Cancelled());
  EXPECT_EQ(JobState::kCancelled, Get(name).state);
  EXPECT_EQ(JobState::kCancelled, Cancel(name)->state);
  EXPECT_TRUE(absl::IsNotFound(Cancel("jobs/none").status()));
}

TEST_F(DispatcherTest, AResultThatIsThereWinsOverALateCancel) {
  const std::string name = Accepted();
  group_.Chunk(0, "abc");
  Cancel(name).IgnoreError();
  group_.End(Done("abc"));
  EXPECT_EQ(JobState::kSucceeded, Get(name).state);
}

TEST_F(DispatcherTest, ADeadlineEndsQueuedAndRunningJobs) {
  const std::string running = WithDeadline(10), queued = WithDeadline(20);
  Pass(milliseconds(9999));
  EXPECT_EQ(0, group_.cancels);
  Pass(milliseconds(1));
  Pass(milliseconds(500));
  EXPECT_EQ(1, group_.cancels);
  EXPECT_EQ(JobState::kRunning, Get(running).state);
  Pass(seconds(10));
  EXPECT_EQ(JobState::kExpired, Get(queued).state);
  EXPECT_EQ(absl::StatusCode::kDeadlineExceeded, Get(queued).error.code);
  EXPECT_THAT(Get(queued).error.message, HasSubstr("20 s"));
  EXPECT_EQ(0, ledger_.load().jobs);
  group_.End(Cancelled());
  EXPECT_EQ(JobState::kExpired, Get(running).state);
}

TEST_F(DispatcherTest, GroupsServeTheirOwnModels) {
  PuppetWorkerGroup other("h", "other", dispatcher_, Settler()),
      second("i", "tiny", dispatcher_, Settler());
  other.Form(9);
  second.Form(10);
  const std::string a = Accepted(4, "tiny"), b = Accepted(4, "tiny"), c = Accepted(4, "tiny");
  const std::string d = Accepted(4, "other");
  ASSERT_EQ(1, other.orders.size());
  EXPECT_EQ(d, other.orders[0].job);
  EXPECT_EQ(1, group_.orders.size());
  EXPECT_EQ(1, second.orders.size());
  EXPECT_EQ(JobState::kQueued, Get(c).state);
  EXPECT_EQ("h", Get(d).group);
  second.Lose(absl::UnavailableError("gone"));
  EXPECT_EQ(JobState::kQueued, Get(b).state);
  EXPECT_EQ(JobState::kRunning, Get(a).state);
}

TEST_F(DispatcherTest, TheGroupThatFinishesFirstGetsTheJob) {
  const std::string first = Accepted();  // on the only group there is
  const JobSize size = SizeOf(group_.orders.at(0).request);
  costs_.Learn("tiny", "g", {.shape = size.shape, .costs = {.step = 10.0 / size.steps}});
  costs_.Learn("tiny", "fast", {.shape = size.shape, .costs = {.step = 4.0 / size.steps}});
  PuppetWorkerGroup fast("fast", "tiny", dispatcher_, Settler());
  group_.End(Cancelled());
  fast.Form(8);
  loop_.RunPending();
  const std::string a = Accepted(), b = Accepted();
  EXPECT_EQ("fast", Get(a).group);
  // 4 s until the fast one is free and 4 s of work there, against 10 s on the idle one.
  EXPECT_EQ(JobState::kQueued, Get(b).state);
  const std::string c = Accepted();  // 4 + 4 + 4 s against 10 s
  EXPECT_EQ("g", Get(c).group);
  fast.End(Cancelled());
  loop_.RunPending();
  EXPECT_EQ("fast", Get(b).group);
}

TEST_F(DispatcherTest, NothingWaitsForAGroupWhoseSpeedIsUnknown) {
  Accepted();  // on g, which has not finished a job yet
  costs_.Learn("tiny", "known",
               {.shape = SizeOf(group_.orders.at(0).request).shape, .costs = {.step = 1}});
  PuppetWorkerGroup known("known", "tiny", dispatcher_, Settler());
  known.Form(8);
  loop_.RunPending();
  EXPECT_EQ("known", Get(Accepted()).group);
}

TEST_F(DispatcherTest, AnOverdueJobIsNotAboutToEnd) {
  Accepted();
  const QueuedJob job = {.model = "tiny", .size = SizeOf(group_.orders.at(0).request)};
  const double step = 10.0 / job.size.steps;
  costs_.Learn("tiny", "a", {.shape = job.size.shape, .costs = {.step = step}});
  costs_.Learn("tiny", "b", {.shape = job.size.shape, .costs = {.step = step, .after = 0.5}});
  const TenantRules rules(metrics_);
  Placement placement(costs_, orders_.Now(), rules);
  placement.AddBusy({.name = "overdue", .model = "tiny", .setup = "a"}, job, /*seconds=*/100);
  placement.AddIdle({.name = "idle", .model = "tiny", .setup = "b"});
  const Placement::Assignment assigned = placement.Take(job).value();
  EXPECT_EQ("idle", assigned.group);  // a tenth of 10 s and 10 s, against 10.5 s
  EXPECT_TRUE(assigned.now);
}

TEST_F(DispatcherTest, AFullQueueRefuses) {
  Accepted();
  for (int i = 0; i < 3; ++i) Accepted();
  v1::GenerateRequest request;
  request.set_prompt("p");
  const absl::Status refused = Submit(request).status();
  EXPECT_EQ("QUEUE_FULL", ErrorReason(refused));
  EXPECT_TRUE(RetryAfter(refused).has_value());
}

TEST_F(DispatcherTest, AKnownKeyNeedsNoPlaceAndNoModel) {
  v1::GenerateRequest request;
  request.set_prompt("p");
  request.set_request_id("k");
  const std::string name = Submit(request)->job.name;
  for (int i = 0; i < 3; ++i) Accepted();
  intake_.Drain();
  const auto again = Submit(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->existed);
  EXPECT_EQ(name, again->job.name);
  request.set_prompt("q");
  EXPECT_EQ("KEY_REUSED", ErrorReason(Submit(request).status()));
  request.set_request_id("new");
  EXPECT_EQ("DRAINING", ErrorReason(Submit(request).status()));
}

TEST_F(DispatcherTest, AModelThatNoGroupOfferedIsUnavailable) {
  v1::GenerateRequest request;
  request.set_prompt("p");
  request.set_model("unknown");
  EXPECT_EQ("NO_GROUP", ErrorReason(Submit(request).status()));
  request.set_steps(0);  // a bad request is bad whatever the model
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(request).status()));
}

TEST_F(DispatcherTest, DrainStartsNothingAndAbandonGivesUpWhatRuns) {
  const std::string running = Accepted(), queued = Accepted();
  dispatcher_.Drain();
  loop_.RunPending();
  bool done = false;
  dispatcher_.Abandon([&done](const absl::Status&) { done = true; });
  loop_.RunPending();
  EXPECT_TRUE(done);
  EXPECT_EQ(1, group_.cancels);
  EXPECT_EQ(JobState::kQueued, Get(running).state);
  EXPECT_EQ("SHUTDOWN", Get(running).error.reason);
  EXPECT_EQ(0, Get(running).charges);
  EXPECT_EQ(0, dispatcher_.unfinished());
  group_.End(Cancelled());  // comes too late
  loop_.RunPending();
  EXPECT_EQ(JobState::kQueued, Get(queued).state);
  EXPECT_EQ(1, group_.orders.size());
}

TEST_F(DispatcherTest, TellsTimeLeftAndTheJobsProgress) {
  const std::string name = Accepted();
  const auto shown = [&] {
    v1::Job job = ToProto(Get(name));
    events_.Describe(job);
    return job;
  };
  group_.Start({.warnings = {}, .decode_in_steps = 2});
  group_.Progress({RunStage::kDenoise, 0, 10});
  EXPECT_FALSE(shown().progress().has_time_left());
  clock_.Advance(seconds(4));
  group_.Progress({RunStage::kDenoise, 2, 10});
  // 2 s a step: 8 steps and a decode of 2.
  EXPECT_EQ(20, shown().progress().time_left().seconds());
  EXPECT_NEAR(4.0 / 24, shown().progress().fraction(), 1e-9);
  Pass(milliseconds(400));  // no word: within the step
  EXPECT_EQ(20, shown().progress().time_left().seconds());
  Pass(milliseconds(200));
  EXPECT_EQ(19, shown().progress().time_left().seconds());  // and .4
  EXPECT_NEAR(4.6 / 24, shown().progress().fraction(), 1e-9);
  EXPECT_EQ(2, shown().progress().step());
}

TEST_F(DispatcherTest, AFinishedJobTeachesWhatItTook) {
  const std::string name = Accepted();
  const JobSize size = SizeOf(group_.orders.at(0).request);
  group_.Start({.warnings = {}, .decode_in_steps = 2});
  clock_.Advance(seconds(1));
  group_.Progress({RunStage::kDenoise, 0, 10});
  clock_.Advance(seconds(20));
  group_.Progress({RunStage::kDenoise, 10, 10});
  clock_.Advance(seconds(5));
  group_.Chunk(0, "video");
  group_.End({.result = {5, Sha256Hex("video"), "video/mp4"}});
  ASSERT_EQ(JobState::kSucceeded, Get(name).state);
  const JobCosts costs = costs_.Expect("tiny", "g", size.shape).value();
  EXPECT_DOUBLE_EQ(1, costs.before);
  EXPECT_DOUBLE_EQ(2, costs.step);
  EXPECT_DOUBLE_EQ(5, costs.after);
}

// Needs are planted: no field of a request has one yet.
TEST_F(DispatcherTest, AJobGoesOnlyToAGroupThatCanDoItAndHoldsUpNobody) {
  needs_of_ = [](const v1::GenerateRequest& request) {
    return request.priority() == 9 ? Capabilities{7, 8} : Capabilities{};
  };
  const std::string special = Accepted(/*priority=*/9);
  EXPECT_EQ(JobState::kQueued, Get(special).state);
  EXPECT_EQ("no group of model tiny can do capability 7 and capability 8", WaitingFor(special));
  const std::string plain = Accepted();  // of a lower priority, and behind it
  EXPECT_EQ(JobState::kRunning, Get(plain).state);
  EXPECT_EQ("", WaitingFor(plain));

  PuppetWorkerGroup able("able", "tiny", dispatcher_, Settler());
  able.can = {7, 8, 9};
  able.Form(/*epoch=*/8);
  loop_.RunPending();
  EXPECT_EQ("able", Get(special).group);
  ASSERT_EQ(1, able.orders.size());
  const std::string second = Accepted(/*priority=*/9);
  group_.End(Done(""));  // idle, and no use to it
  loop_.RunPending();
  EXPECT_EQ(JobState::kQueued, Get(second).state);
  EXPECT_EQ("", WaitingFor(second));  // its turn will come
  able.End(Done(""));
  loop_.RunPending();
  EXPECT_EQ("able", Get(second).group);
}

}  // namespace
}  // namespace cogwheel
