// What the dispatcher does when a group, the store or a job fails.
#include "server/dispatch/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "tests/server/dispatch/dispatcher_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

absl::Status StoreFails() {
  return MakeError(absl::StatusCode::kUnavailable, "STORE",
                   "/data/cogwheel.sqlite: disk I/O error");
}
absl::Status DiskFull() {
  return MakeError(absl::StatusCode::kResourceExhausted, "STORE_FULL",
                   "cannot write /data/tmp/x: No space left on device");
}

TEST_F(DispatcherTest, ARefusalFailsTheJobAlone) {
  const std::string name = Accepted();
  group_.Refuse(MakeError(absl::StatusCode::kResourceExhausted, "DEVICE_MEMORY", "too large"));
  EXPECT_EQ(JobState::kFailed, Get(name).state);
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, Get(name).error.code);
  EXPECT_EQ("DEVICE_MEMORY", Get(name).error.reason);
  EXPECT_THAT(Kinds(name), ElementsAre("queued", "failed"));
  loop_.RunPending();
  Accepted();
  EXPECT_EQ(2, group_.orders.size());
}

TEST_F(DispatcherTest, AJobOfALostGroupRunsAgainFirst) {
  const std::string name = Accepted(), next = Accepted();
  group_.Start();
  group_.Chunk(0, "half");
  group_.Lose(MakeError(absl::StatusCode::kUnavailable, "GROUP_LOST", "rank a:cpu was lost"));
  loop_.RunPending();
  EXPECT_EQ(JobState::kQueued, Get(name).state);
  EXPECT_EQ("GROUP_LOST", Get(name).error.reason);
  EXPECT_THAT(Get(name).error.message, HasSubstr("rank a:cpu"));
  EXPECT_EQ(1, Get(name).charges);
  EXPECT_EQ(1, group_.orders.size());
  EXPECT_EQ(2, ledger_.load().jobs);
  group_.Form(/*epoch=*/8);
  loop_.RunPending();
  ASSERT_EQ(2, group_.orders.size());
  EXPECT_EQ(name, group_.orders[1].job);
  EXPECT_EQ(2, group_.orders[1].attempt);
  group_.Start();
  group_.Chunk(0, "abc");
  group_.End(Done("abc"));
  loop_.RunPending();
  EXPECT_EQ(JobState::kSucceeded, Get(name).state);
  EXPECT_EQ("", Get(name).error.reason);
  EXPECT_THAT(Kinds(name),
              ElementsAre("queued", "started", "chunk", "queued", "started", "chunk", "succeeded"));
  EXPECT_EQ(next, group_.orders.back().job);
}

TEST_F(DispatcherTest, TheThirdChargedLossFailsTheJobAndOthersDoNotCount) {
  const std::string name = Accepted();
  int64_t epoch = 7;
  for (const bool charged : {true, false, false, true, false}) {
    group_.Lose(absl::UnavailableError("gone"), charged);
    EXPECT_EQ(JobState::kQueued, Get(name).state);
    group_.Form(++epoch);
    loop_.RunPending();
  }
  group_.Lose(MakeError(absl::StatusCode::kUnavailable, "GROUP_LOST", "the third"), true);
  EXPECT_EQ(JobState::kFailed, Get(name).state);
  EXPECT_EQ("the third", Get(name).error.message);
  EXPECT_EQ(6, Get(name).attempt);
}

// A job that ran or that waits again fails with what explains its loss; no other does.
TEST_F(DispatcherTest, ALossExplainedLaterFailsTheJobThatWaits) {
  const std::string name = Accepted(), next = Accepted();
  const absl::Status why =
      MakeError(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", "killed for memory");
  dispatcher_.OnLossExplained(name, why);  // it runs: on another group, perhaps
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  group_.Lose(MakeError(absl::StatusCode::kUnavailable, "GROUP_LOST", "rank a:cpu was lost"));
  EXPECT_EQ(JobState::kQueued, Get(name).state);
  dispatcher_.OnLossExplained(name, why);
  EXPECT_EQ(JobState::kFailed, Get(name).state);
  EXPECT_EQ("OUT_OF_MEMORY", Get(name).error.reason);
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, Get(name).error.code);
  dispatcher_.OnLossExplained(name, why);  // it has ended
  EXPECT_EQ(JobState::kQueued, Get(next).state);
  group_.Form(/*epoch=*/8);
  loop_.RunPending();
  EXPECT_EQ(next, group_.orders.back().job);
}

TEST_F(DispatcherTest, ARankAboutToLeaveHandsTheJobBack) {
  const std::string name = Accepted();
  group_.Refuse(absl::UnavailableError("this rank is draining"));
  EXPECT_EQ(2, group_.orders.size());
  EXPECT_EQ(2, Get(name).attempt);
  EXPECT_EQ(0, Get(name).charges);
}

// What the store owes is owed to that job; that it fails holds up all claims until a probe passes.
TEST_F(DispatcherTest, NothingStartsWhileTheStoreFails) {
  const std::string name = Accepted(), next = Accepted(), third = Accepted();
  faulty_.fault = [](const std::string& method) {
    return method == "Finish" ? StoreFails() : absl::OkStatus();
  };
  group_.Chunk(0, "abc");
  group_.End(Done("abc"));
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  EXPECT_FALSE(health_.ok());
  EXPECT_EQ(next, group_.orders.back().job) << "claimed before it was known";
  group_.End(Cancelled());
  Pass(seconds(5));
  EXPECT_EQ(2, group_.orders.size());
  EXPECT_EQ(2, dispatcher_.unfinished());
  faulty_.fault = [](const std::string&) { return absl::OkStatus(); };
  Pass(seconds(1));
  EXPECT_EQ(JobState::kSucceeded, Get(name).state);
  EXPECT_EQ(JobState::kCancelled, Get(next).state);
  EXPECT_EQ(JobState::kQueued, Get(third).state);
  health_.Passed(health_.failures());
  Pass(milliseconds(0));
  EXPECT_EQ(third, group_.orders.back().job);
}

TEST_F(DispatcherTest, ALossThatTheStoreCannotTakeIsNotForgotten) {
  const std::string name = Accepted();
  faulty_.fault = [](const std::string& method) {
    return method == "Requeue" ? StoreFails() : absl::OkStatus();
  };
  group_.Lose(absl::UnavailableError("gone"));
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  faulty_.fault = [](const std::string&) { return absl::OkStatus(); };
  Pass(seconds(1));
  EXPECT_EQ(JobState::kQueued, Get(name).state);
}

TEST_F(DispatcherTest, AWaitingJobIsNotToldItsLostProgressAgain) {
  const std::string name = Accepted();
  group_.Start();
  group_.Progress({RunStage::kDenoise, 5, 10});
  group_.Lose(absl::UnavailableError("gone"));
  Pass(seconds(31));
  EXPECT_THAT(Kinds(name), ElementsAre("queued", "started", "progress", "queued", "queued"));
}

TEST_F(DispatcherTest, ACancelBetweenALossAndItsRecordEndsTheJob) {
  const std::string name = Accepted();
  faulty_.fault = [](const std::string& method) {
    return method == "Requeue" ? StoreFails() : absl::OkStatus();
  };
  group_.Lose(absl::UnavailableError("gone"));
  EXPECT_EQ(JobState::kRunning, Cancel(name)->state);
  faulty_.fault = [](const std::string&) { return absl::OkStatus(); };
  Pass(seconds(1));
  EXPECT_EQ(JobState::kCancelled, Get(name).state);  // no group is there to find it out
  EXPECT_EQ(0, ledger_.load().jobs);
}

TEST_F(DispatcherTest, TheTimeThatALostJobWaitsIsNotPartOfItsDuration) {
  const std::string name = Accepted();
  group_.Lose(absl::UnavailableError("gone"));
  Pass(seconds(100));
  Cancel(name).IgnoreError();
  EXPECT_EQ(JobState::kCancelled, Get(name).state);
  for (const auto& family : registry_->Collect()) {
    if (family.name == "cogwheel_dispatch_job_duration_seconds") ADD_FAILURE() << "it did not run";
  }
}

TEST_F(DispatcherTest, AJobWhoseImageIsDamagedFailsAndTheNextRuns) {
  NewJob damaged;
  damaged.job.name = "jobs/1";
  damaged.job.tenant = "default";
  damaged.job.request.set_model("tiny");
  damaged.job.image_sha256 = "none is there";
  ASSERT_TRUE(BlockingStore(store_).Create(damaged).ok());
  Settle();
  const std::string next = Accepted();
  EXPECT_EQ(JobState::kFailed, Get("jobs/1").state);
  EXPECT_EQ("CHECKSUM", Get("jobs/1").error.reason);
  EXPECT_EQ(JobState::kRunning, Get(next).state);
  EXPECT_EQ(0, ledger_.load().jobs);
}

TEST_F(DispatcherTest, TakesOverTheJobsOfAFormerProcess) {
  const std::string running = Accepted(), queued = WithDeadline(30), unwanted = Accepted();
  BlockingStore(store_).RequestCancel(unwanted).IgnoreError();  // died before it could end it
  clock_.Advance(seconds(20));
  EventLog events;
  AdmissionLedger ledger({.jobs = 1, .bytes = 1, .seconds = 1});
  EventLoop loop(clock_);
  Dispatcher heir({loop, store_, results_, inputs_, health_, events, ledger, costs_, orders_,
                   clock_, metrics_});
  loop.AddTick([&heir] { heir.Tick(); });
  heir.Recover(BlockingStore(store_).Adopt().value());
  loop.RunPending();
  EXPECT_EQ(2, ledger.load().jobs);  // whatever the limit is now
  EXPECT_EQ(JobState::kQueued, Get(running).state);
  EXPECT_EQ(JobState::kQueued, Get(queued).state);
  EXPECT_EQ(JobState::kCancelled, Get(unwanted).state);
  const EventLog::Next told = events.ReadAfter(running, int64_t{1} << 32, false);
  EXPECT_EQ(EventLog::Found::kEvent, told.found);  // its line goes on above the former process's
  EXPECT_EQ(1, told.event->queued().position());
  clock_.Advance(seconds(10));
  loop.RunPending();
  EXPECT_EQ(JobState::kExpired, Get(queued).state);
  PuppetWorkerGroup group("g", "tiny", heir);
  group.Form(8);
  loop.RunPending();
  ASSERT_EQ(1, group.orders.size());
  EXPECT_EQ(running, group.orders[0].job);
  EXPECT_EQ(3, group.orders[0].attempt);
  group_.End(Done(""));  // the former group's end comes too late
  EXPECT_EQ(JobState::kRunning, Get(running).state);
}

TEST_F(DispatcherTest, ACancelledJobOfALostGroupIsCancelled) {
  const std::string name = Accepted();
  Cancel(name).IgnoreError();
  group_.Lose(absl::UnavailableError("gone"));
  EXPECT_EQ(JobState::kCancelled, Get(name).state);
}

// At each of the three times the job waits for the store, uncharged, and then runs to its result.
TEST_F(DispatcherTest, AFullDiskFailsNoJob) {
  results_.begin_fault = DiskFull();  // no room for a result
  const std::string name = Accepted();
  EXPECT_EQ(JobState::kQueued, Get(name).state);
  EXPECT_TRUE(group_.orders.empty());
  EXPECT_EQ("the server's disk is full", health_.reason());
  Pass(seconds(10));
  EXPECT_EQ(1, Get(name).attempt) << "nothing is claimed meanwhile";
  results_.begin_fault = absl::OkStatus();
  health_.Passed(health_.failures());
  Pass(milliseconds(100));
  ASSERT_EQ(1, group_.orders.size());

  results_.append_fault = DiskFull();  // in mid result
  group_.Chunk(0, "abc");
  group_.Chunk(3, "def");
  EXPECT_EQ(1, group_.cancels);
  group_.End(Cancelled());
  EXPECT_EQ(JobState::kQueued, Get(name).state);
  EXPECT_EQ(0, Get(name).charges);
  EXPECT_EQ("STORE_FULL", Get(name).error.reason);
  EXPECT_EQ("the server's disk is full", Get(name).error.message);
  results_.append_fault = absl::OkStatus();
  health_.Passed(health_.failures());
  Pass(milliseconds(100));
  ASSERT_EQ(2, group_.orders.size());

  results_.commit_fault = DiskFull();  // when the result is there: it is not made again
  group_.Chunk(0, "abc");
  group_.End(Done("abc"));
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  EXPECT_EQ(1, dispatcher_.unfinished());
  Pass(seconds(1));
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  results_.commit_fault = absl::OkStatus();
  Pass(seconds(1));
  EXPECT_EQ(JobState::kSucceeded, Get(name).state);
  EXPECT_EQ(2, group_.orders.size());
  EXPECT_EQ(0, dispatcher_.unfinished());
}

TEST_F(DispatcherTest, AClaimThatTheStoreCannotTakeLeavesTheJobInItsPlace) {
  int claims = 0;
  faulty_.fault = [&claims](const std::string& method) {
    if (method != "ClaimNext") return absl::OkStatus();
    ++claims;
    return StoreFails();
  };
  const std::string name = Accepted();
  EXPECT_EQ(1, claims);
  EXPECT_EQ(JobState::kQueued, Get(name).state);
  EXPECT_EQ(1, ledger_.load().jobs);
  Pass(seconds(5));
  EXPECT_EQ(1, claims) << "not before a probe passes";
  faulty_.fault = [](const std::string&) { return absl::OkStatus(); };
  health_.Passed(health_.failures());
  Pass(milliseconds(0));
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  EXPECT_EQ(0, ledger_.load().jobs);
}

// A probe that began before the failure has not seen it.
TEST_F(DispatcherTest, AFailureSinceTheProbeBeganCountsMore) {
  const int64_t before = health_.failures();
  health_.Failed("test", DiskFull());
  health_.Passed(before);
  EXPECT_FALSE(health_.ok());
  health_.Passed(before + 1);
  EXPECT_TRUE(health_.ok());
}

TEST_F(DispatcherTest, AnEndThatTheStoreRefusesIsInternalAndHoldsUpNobody) {
  int ends = 0;
  faulty_.fault = [&ends](const std::string& method) {
    const bool first = method == "Finish" && ++ends == 1;
    return first ? MakeError(absl::StatusCode::kInternal, "STORE_REFUSED", "NOT NULL")
                 : absl::OkStatus();
  };
  const std::string name = Accepted(), next = Accepted();
  group_.Chunk(0, "abc");
  group_.End(Done("abc"));
  EXPECT_EQ(2, ends);
  EXPECT_EQ(JobState::kFailed, Get(name).state);
  EXPECT_EQ(absl::StatusCode::kInternal, Get(name).error.code);
  EXPECT_EQ("STORE_REFUSED", Get(name).error.reason);
  EXPECT_TRUE(health_.ok());
  EXPECT_EQ(next, group_.orders.back().job);
}

// Between leaving the queue and running a job may be cancelled, be late, or lose its group.
TEST_F(DispatcherTest, WhatHappensToAJobThatIsBeingClaimedIsNotForgotten) {
  faulty_.holds_claims = true;
  const std::string cancelled = Accepted();
  ASSERT_EQ(1, faulty_.held.size());
  EXPECT_EQ(JobState::kQueued, Cancel(cancelled)->state);
  faulty_.AnswerHeld();
  Settle();
  EXPECT_EQ(JobState::kCancelled, Get(cancelled).state);
  EXPECT_TRUE(group_.orders.empty());

  const std::string late = WithDeadline(10);  // the group was given back
  ASSERT_EQ(1, faulty_.held.size());
  Pass(seconds(10));
  faulty_.AnswerHeld();
  Settle();
  EXPECT_EQ(JobState::kExpired, Get(late).state);

  const std::string lost = Accepted();
  ASSERT_EQ(1, faulty_.held.size());
  group_.Lose(absl::UnavailableError("gone"));
  faulty_.AnswerHeld();
  Settle();
  EXPECT_EQ(JobState::kQueued, Get(lost).state);
  EXPECT_EQ(0, Get(lost).charges);
  EXPECT_EQ("GROUP_LOST", Get(lost).error.reason);
  EXPECT_TRUE(group_.orders.empty());
  EXPECT_EQ(0, dispatcher_.unfinished());
  EXPECT_EQ(1, ledger_.load().jobs);
}

TEST_F(DispatcherTest, ACancelWhoseEndTheStoreCannotTakeIsAnsweredAndNotForgotten) {
  Accepted();
  const std::string waits = Accepted();
  faulty_.fault = [](const std::string& method) {
    return method == "Finish" ? StoreFails() : absl::OkStatus();
  };
  const absl::StatusOr<Job> asked = Cancel(waits);
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(JobState::kQueued, asked->state);
  EXPECT_TRUE(asked->cancel_requested);
  faulty_.fault = [](const std::string&) { return absl::OkStatus(); };
  Pass(seconds(1));
  EXPECT_EQ(JobState::kCancelled, Get(waits).state);
  EXPECT_THAT(Kinds(waits), ElementsAre("queued", "cancelled"));
}

TEST_F(DispatcherTest, ACancelOfAJobWhoseClaimFailsIsNotForgotten) {
  faulty_.holds_claims = true;
  const std::string name = Accepted();
  EXPECT_EQ(JobState::kQueued, Cancel(name)->state);
  faulty_.fault = [](const std::string& method) {
    return method == "ClaimNext" ? StoreFails() : absl::OkStatus();
  };
  group_.Lose(absl::UnavailableError("gone"));  // no group is there to find it out later
  faulty_.AnswerHeld();
  Settle();
  EXPECT_EQ(JobState::kCancelled, Get(name).state);
  EXPECT_EQ(0, ledger_.load().jobs);
  EXPECT_EQ(0, dispatcher_.unfinished());
}

TEST_F(DispatcherTest, AJobThatTheStoreRefusesToClaimOrRequeueFails) {
  std::string refused = "ClaimNext";
  faulty_.fault = [&refused](const std::string& method) {
    return method == refused ? MakeError(absl::StatusCode::kInternal, "STORE_REFUSED", "NOT NULL")
                             : absl::OkStatus();
  };
  const std::string unclaimed = Accepted();
  EXPECT_EQ(JobState::kFailed, Get(unclaimed).state);
  EXPECT_EQ("STORE_REFUSED", Get(unclaimed).error.reason);
  refused = "Requeue";
  const std::string lost = Accepted();
  ASSERT_EQ(1, group_.orders.size());
  group_.Lose(absl::UnavailableError("gone"));
  EXPECT_EQ(JobState::kFailed, Get(lost).state);
  EXPECT_EQ("STORE_REFUSED", Get(lost).error.reason);
  EXPECT_EQ(0, dispatcher_.unfinished());
  EXPECT_EQ(0, ledger_.load().jobs);
  EXPECT_TRUE(health_.ok());
}

TEST_F(DispatcherTest, AJobThatIsBeingClaimedAtShutdownStartsNoMore) {
  faulty_.holds_claims = true;
  const std::string name = Accepted();
  dispatcher_.Drain();
  bool given_up = false;
  dispatcher_.Abandon([&given_up](const absl::Status&) { given_up = true; });
  Settle();
  EXPECT_FALSE(given_up);
  faulty_.AnswerHeld();
  Settle();
  EXPECT_TRUE(given_up);
  EXPECT_TRUE(group_.orders.empty());
  EXPECT_EQ(JobState::kQueued, Get(name).state);
  EXPECT_EQ("SHUTDOWN", Get(name).error.reason);
  EXPECT_EQ(0, Get(name).charges);
}

TEST_F(DispatcherTest, APieceBeyondTheLimitFailsTheJob) {
  const std::string name = Accepted();
  group_.Chunk(0, std::string(kMaxChunkBytes, 'x'));
  EXPECT_EQ(0, group_.cancels);
  group_.Chunk(kMaxChunkBytes, std::string(kMaxChunkBytes + 1, 'x'));
  EXPECT_EQ(1, group_.cancels);
  group_.End(Cancelled());
  EXPECT_EQ("RESULT_CHUNK", Get(name).error.reason);
}

TEST_F(DispatcherTest, APreviewBeyondTheLimitIsLeftOut) {
  const std::string name = Accepted();
  group_.Preview(std::string(1024 * 1024, 'x'));
  group_.Preview(std::string(1024 * 1024 + 1, 'x'));
  EXPECT_THAT(Kinds(name), ElementsAre("queued", "preview"));
}

TEST_F(DispatcherTest, ARefusedWriteGivesThePlaceBack) {
  faulty_.fault = [](const std::string& method) {
    return method == "Create" ? absl::UnavailableError("disk") : absl::OkStatus();
  };
  v1::GenerateRequest request;
  request.set_prompt("p");
  EXPECT_TRUE(absl::IsUnavailable(Submit(request).status()));
  EXPECT_EQ(0, ledger_.load().jobs);
}

TEST_F(DispatcherTest, AWrongDigestIsDataLoss) {
  const std::string name = Accepted();
  group_.Chunk(0, "abc");
  group_.End(Done("abd"));
  EXPECT_EQ(absl::StatusCode::kDataLoss, Get(name).error.code);
}

}  // namespace
}  // namespace cogwheel
