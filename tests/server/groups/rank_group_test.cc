// What a group does with jobs, and how it ends.
#include "server/groups/rank_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/server/groups/rank_group_fixture.h"

namespace cogwheel {
namespace {

using internal::v1::RankMessage;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(RankGroupTest, BroadcastsAJobAndStartsItWhenAllAgree) {
  Form();
  Run();
  EXPECT_EQ("jobs/1", b_->last().run_job().job());
  EXPECT_EQ("image", a_->last().run_job().plan().image());  // world rank 0 alone gets it
  EXPECT_EQ("", b_->last().run_job().plan().image());
  EXPECT_TRUE(b_->last().run_job().plan().has_image());
  EXPECT_EQ("jobs/1", Board().running_job());
  EXPECT_EQ(v1::RANK_BUSY, Board().ranks(0).state());
  Answer(1, 0);
  EXPECT_TRUE(a_->last().has_run_job());
  Answer(2, 0);
  EXPECT_TRUE(a_->last().has_start_job());
  EXPECT_TRUE(b_->last().has_start_job());
  Progress(2, group_->epoch(), sequence_, 3);
  Progress(1, group_->epoch(), sequence_, 4);      // not rank 0
  Progress(2, group_->epoch(), sequence_ - 1, 5);  // of another job
  Progress(2, group_->epoch() - 1, sequence_, 6);  // of another epoch
  Done(2, 0);
  EXPECT_THAT(recorder_.told, ElementsAre("started", "progress 3"));
  Done(1, 0);
  EXPECT_THAT(recorder_.told, ElementsAre("started", "progress 3", "finished", "idle"));
  EXPECT_EQ("s2", recorder_.outcome.result.sha256);  // rank 0's
  EXPECT_EQ(v1::RANK_READY, Board().ranks(0).state());
}

TEST_F(RankGroupTest, ARefusalDropsTheJobEverywhere) {
  Form();
  Run();
  Answer(2, 0);
  Answer(1, 8, "too little memory");
  EXPECT_TRUE(a_->last().has_drop_job());
  EXPECT_TRUE(b_->last().has_drop_job());
  EXPECT_THAT(recorder_.told, ElementsAre("refused", "idle"));
  EXPECT_TRUE(absl::IsResourceExhausted(recorder_.status));
  EXPECT_EQ("WHY", ErrorReason(recorder_.status));
  EXPECT_THAT(std::string(recorder_.status.message()),
              HasSubstr("rank 1 of group g refused the job: "));
  Run();
  Answer(1, 0);
  Answer(2, 0);
  EXPECT_TRUE(a_->last().has_start_job());
}

TEST_F(RankGroupTest, AJobThatIsTooLargeByPlanIsCounted) {
  Form();
  Run();
  Answer(1, 8, "too little memory", "OUT_OF_MEMORY");
  Answer(2, 8, "too little memory", "OUT_OF_MEMORY");
  const std::string metric = "cogwheel_rank_out_of_memory_total";
  EXPECT_THAT(Counts(metric, "group"), ElementsAre("g: 1"));  // jobs, not ranks
  Run();
  Answer(1, 0);
  Answer(2, 3, "no such scheduler");
  EXPECT_THAT(Counts(metric, "group"), ElementsAre("g: 1"));
}

TEST_F(RankGroupTest, ACancelBeforeTheStartDropsTheJob) {
  Form();
  Run();
  group_->Cancel();
  EXPECT_TRUE(a_->last().has_run_job());
  Answer(1, 0);
  Answer(2, 0);
  EXPECT_TRUE(a_->last().has_drop_job());
  EXPECT_TRUE(absl::IsCancelled(recorder_.status));
  Start();
  group_->Cancel();
  EXPECT_TRUE(b_->last().has_cancel_job());
  Done(1, 1);
  Done(2, 1);
  EXPECT_EQ(absl::StatusCode::kCancelled, recorder_.outcome.code);
}

TEST_F(RankGroupTest, AnyRanksFailureIsTheJobs) {
  Form();
  Start();
  Done(2, 0);
  Done(1, 13, "kernel");
  EXPECT_EQ(absl::StatusCode::kInternal, recorder_.outcome.code);
  EXPECT_EQ("kernel", recorder_.outcome.message);
}

// One rank is out of memory at once, the other hears of it when its layer ends, however long that
// takes: the job has failed, the epoch goes on.
TEST_F(RankGroupTest, AJobThatFailsAloneLeavesTheEpoch) {
  Form();
  const int64_t epoch = group_->epoch();
  for (const auto& [code, reason] : {std::pair(8, "OUT_OF_MEMORY"), std::pair(13, "NOT_FINITE")}) {
    Start();
    Done(1, code, "x: step 3 of 50 on rank 1", /*epoch_over=*/false, reason);
    if (code == 8) {
      for (int i = 0; i < 100; ++i) {
        Pass(seconds(4));
        Beat(1);
        Beat(2, epoch, /*step=*/0, sequence_);  // still at the job
      }
    }
    EXPECT_THAT(recorder_.told, IsEmpty());
    Done(2, code, "x: step 3 of 50 on rank 1", /*epoch_over=*/false, reason);
    EXPECT_THAT(recorder_.told, ElementsAre("finished", "idle"));
    EXPECT_EQ(static_cast<int>(recorder_.outcome.code), code);
    EXPECT_EQ(recorder_.outcome.reason, reason);
    EXPECT_EQ(group_->epoch(), epoch);
  }
}

// Ranks that could not leave together (devices wait for each other): the job is not tried again.
TEST_F(RankGroupTest, AnEpochThatMemoryEndsFailsItsJobUncharged) {
  Form();
  Start();
  Broken(1, 8, "out of memory: step 3 of 50 on rank 1", "OUT_OF_MEMORY");
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_EQ(recorder_.job_error.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(recorder_.job_error), "OUT_OF_MEMORY");
  EXPECT_EQ(recorder_.job_error.message(), "out of memory: step 3 of 50 on rank 1");
  EXPECT_EQ(RetryAfter(recorder_.job_error), std::nullopt);
  EXPECT_TRUE(a_->sent_away());
  Form();
  Start();
  Broken(1, 13, "bug");
  EXPECT_TRUE(recorder_.job_error.ok());
}

// Told by the launcher to the next process of the place, once: whatever came first, the killed
// rank's stream or another's report of it.
TEST_F(RankGroupTest, ARankKilledForMemoryExplainsTheLossOfItsJob) {
  for (const bool heard_of_by_a_peer : {false, true}) {
    Form();
    Start();
    if (heard_of_by_a_peer) Broken(2, 14, "rank 1 closed its connection");
    groups_.OnGone(1);
    groups_.OnGone(2);
    recorder_.told.clear();
    internal::v1::Hello next = MakeHello("b", 0);
    next.set_replaces_killed_for_memory(true);
    Join(3, next);
    EXPECT_THAT(recorder_.told, ElementsAre("explained jobs/1"));
    EXPECT_EQ(recorder_.job_error.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ErrorReason(recorder_.job_error), "OUT_OF_MEMORY");
    EXPECT_THAT(std::string(recorder_.job_error.message()),
                HasSubstr("the kernel killed a rank of group g"));
    groups_.OnGone(3);
    recorder_.told.clear();
    Join(4, next);  // a third process of the place
    EXPECT_THAT(recorder_.told, IsEmpty());
    groups_.OnGone(4);
  }
}

TEST_F(RankGroupTest, ARankKilledForMemoryWhileNoJobRanExplainsNothing) {
  internal::v1::Hello next = MakeHello("b", 0);
  next.set_replaces_killed_for_memory(true);
  Form();
  Start();
  Done(1, 0);
  Done(2, 0);
  groups_.OnGone(1);
  recorder_.told.clear();
  Join(3, next);
  EXPECT_THAT(recorder_.told, IsEmpty());
}

TEST_F(RankGroupTest, ALostRankEndsTheEpochAndTheOthersLeave) {
  Form();
  Start();
  const int64_t epoch = group_->epoch();
  groups_.OnGone(1);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
  EXPECT_TRUE(absl::IsUnavailable(recorder_.status));
  EXPECT_EQ("GROUP_LOST", ErrorReason(recorder_.status));
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("rank 1 of group g was lost"));
  EXPECT_EQ(epoch, a_->last().shutdown().epoch());
  EXPECT_TRUE(a_->sent_away());
  EXPECT_FALSE(Board().ready());
  EXPECT_EQ(0, Board().ranks_size());
  Progress(2, epoch, sequence_, 9);  // the old rank 0 still talks
  groups_.OnGone(2);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
  const auto a = Join(3, MakeHello("a", 0));
  Join(4, MakeHello("b", 0));
  EXPECT_GT(a->last().assign().epoch(), epoch);
}

TEST_F(RankGroupTest, SilenceMakesARankSuspectThenDead) {
  Form();
  Pass(seconds(4));
  Beat(2);
  Pass(seconds(1));
  EXPECT_EQ(v1::RANK_READY, Board().ranks(0).state());
  EXPECT_EQ(v1::RANK_SUSPECT, Board().ranks(1).state());
  Beat(1);
  EXPECT_EQ(v1::RANK_READY, Board().ranks(1).state());
  Pass(seconds(4));
  Beat(2);
  Pass(seconds(10));
  EXPECT_THAT(recorder_.told, IsEmpty());
  Beat(2);
  Pass(seconds(1));
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("rank 1 of group g"));
  EXPECT_TRUE(b_->sent_away());
}

TEST_F(RankGroupTest, ARankThatLeavesTakesNoFurtherJobAndIsNotCharged) {
  Form();
  Leaving(1);
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_TRUE(a_->last().has_shutdown());
  Form();
  Run();
  Leaving(1);
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));  // before the job's first collective
  Form();
  Start();
  Leaving(1);
  EXPECT_THAT(recorder_.told, IsEmpty());
  Done(1, 0);
  Done(2, 0);
  EXPECT_THAT(recorder_.told, ElementsAre("finished", "lost"));
  EXPECT_FALSE(Board().ready());
}

TEST_F(RankGroupTest, ARankThatWasAskedToLeaveIsNoLoss) {
  const std::string losses = "cogwheel_dispatch_group_losses_total";
  Form();
  Leaving(1);
  EXPECT_EQ(GroupLossKind::kLeft, recorder_.kind);
  EXPECT_THAT(Counts(losses, "group"), IsEmpty());
  Form();
  groups_.OnGone(1);
  EXPECT_EQ(GroupLossKind::kLost, recorder_.kind);
  EXPECT_THAT(Counts(losses, "group"), ElementsAre("g: 1"));
}

// The machines are the operator's: ListGroups and the log name them.
TEST_F(RankGroupTest, NothingThatAJobEndsWithNamesAHost) {
  const auto lose = [this](const std::function<void()>& how) {
    b_ = Join(1, MakeHello("secret-host-b", 0));
    a_ = Join(2, MakeHello("secret-host-a", 0));
    Formed(1, a_->last().assign().epoch());
    Formed(2, a_->last().assign().epoch());
    group_ = recorder_.groups.at("g");
    Start();
    how();
    EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("rank 1 of group g"));
    EXPECT_THAT(std::string(recorder_.status.message()), Not(HasSubstr("secret")));
    groups_.OnGone(1);
    groups_.OnGone(2);
  };
  lose([this] { groups_.OnGone(1); });
  lose([this] { Broken(1, 13, "illegal address"); });
  lose([this] { Leaving(1, /*now=*/true), groups_.OnGone(1); });
  lose([this] {
    RankMessage fault;
    fault.mutable_rank_fault()->set_epoch(group_->epoch());
    groups_.OnMessage(1, fault);
  });
  lose([this] {
    for (int second = 0; second < 15; ++second) {
      Beat(2);
      Pass(seconds(1));
    }
  });
  lose([this] {  // another process on its device
    internal::v1::Hello again = MakeHello("secret-host-b", 0);
    Join(3, again);
    groups_.OnGone(3);
  });
  lose([this] {
    Done(2, 0);
    for (int second = 0; second < 60; ++second) {
      Beat(1);
      Beat(2);
      Pass(seconds(1));
    }
  });
}

// What rank 0 sent is not read while its results wait for a disk: it is not silent, and its report
// may be what waits.
TEST_F(RankGroupTest, ARankThatIsNotReadIsNotSilent) {
  Form();
  Start();
  a_->not_read = true;
  Done(1, 0);
  for (int second = 0; second < 300; ++second) {
    Beat(1);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, IsEmpty());
  a_->not_read = false;
  for (int second = 0; second < 14; ++second) {
    Beat(1);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, IsEmpty());
  Pass(seconds(1));
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
}

TEST_F(RankGroupTest, AGroupIsDownWhenItIsMissedAndNotWhenItWasAskedToLeave) {
  EXPECT_EQ(std::nullopt, Up());
  Form();
  EXPECT_EQ(1, Up());
  groups_.OnGone(1);
  EXPECT_EQ(0, Up());
  Form();
  Leaving(1);  // scaled down
  EXPECT_EQ(std::nullopt, Up());
  const auto waiting = Join(3, MakeHello("b", 0));
  EXPECT_EQ(0, Up());
  Leaving(3);
  groups_.OnGone(3);
  EXPECT_EQ(std::nullopt, Up());
  Join(4, MakeHello("b", 0));
  groups_.OnGone(4);
  EXPECT_EQ(0, Up());
}

TEST_F(RankGroupTest, ARankMayGoOnceItsPartIsDone) {
  Form();
  Start();
  Leaving(1);
  Leaving(2);
  Done(1, 0);
  groups_.OnGone(1);  // rank 0 still writes the result
  for (int i = 0; i < 20; ++i) {
    Beat(2);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, IsEmpty());
  Done(2, 0);
  EXPECT_THAT(recorder_.told, ElementsAre("finished", "lost"));
}

TEST_F(RankGroupTest, ARankInAHurryHandsTheJobBackUncharged) {
  Form();
  Start();
  Leaving(1, /*now=*/true);
  EXPECT_EQ(sequence_, a_->last().stop_job().job_sequence());
  EXPECT_EQ(sequence_, b_->last().stop_job().job_sequence());
  EXPECT_THAT(recorder_.told, IsEmpty());
  Broken(2, static_cast<int>(absl::StatusCode::kAborted), "the group is stopping");
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("handed the job back"));
  Form();
  Start();
  Leaving(1, /*now=*/true);
  groups_.OnGone(1);  // killed before it could hand it back: no fault of the job's either
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
}

TEST_F(RankGroupTest, ARankThatFailsOrHangsAmongCollectivesIsCharged) {
  Form();
  Start();
  Broken(1, 13, "illegal address");
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
  EXPECT_THAT(std::string(recorder_.status.message()),
              HasSubstr("rank 1 of group g failed: illegal address"));
  Form();
  Start();
  RankMessage message;
  message.mutable_rank_fault()->set_epoch(group_->epoch());
  message.mutable_rank_fault()->set_message("step 3 took 10 s");
  groups_.OnMessage(2, message);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
  EXPECT_THAT(std::string(recorder_.status.message()),
              HasSubstr("rank 0 of group g hangs: step 3 took 10 s"));
}

TEST_F(RankGroupTest, AbortedExchangesAreCountedByReason) {
  const auto begin = [this] {
    Form();
    Start();
  };
  begin();
  Broken(1, 13, "illegal address");
  begin();
  Broken(1, 14, "ranks are out of step");  // as protocol 1 says it
  begin();
  RankMessage fault;
  fault.mutable_rank_fault()->set_epoch(group_->epoch());
  groups_.OnMessage(2, fault);
  begin();
  groups_.OnGone(1);
  begin();
  Pass(seconds(15));
  const std::vector<std::string> all = {"failed: 1", "hung: 1", "lost: 1", "out_of_step: 1",
                                        "silent: 1"};
  EXPECT_EQ(all, Aborts());
  Form();
  groups_.OnGone(1);  // between jobs nothing is exchanged
  begin();
  Broken(1, 10, "stopped");  // handed back
  begin();
  Leaving(1);
  groups_.OnGone(1);
  EXPECT_EQ(all, Aborts());
}

TEST_F(RankGroupTest, WhatIsFencedIsCountedByKind) {
  Form();
  Start();
  const int64_t epoch = group_->epoch();
  Progress(2, epoch - 1, sequence_, 1);
  Progress(2, epoch, sequence_ - 1, 1);
  Join(9, MakeHello("c", 0));  // one rank too many
  groups_.OnGone(1);
  Done(2, 0);  // a rank of the epoch that is over
  Beat(2);
  EXPECT_THAT(Fenced(), ElementsAre("heartbeat: 1", "hello: 1", "job_done: 1", "progress: 2"));
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
}

// Rank 1 has no chunk of the decode, rank 0 one that takes an hour.
TEST_F(RankGroupTest, ARankThatIsStillAtTheJobMayTakeItsTime) {
  Form();
  Start();
  const int64_t epoch = group_->epoch();
  Done(1, 0);
  for (int second = 0; second < 3600; ++second) {
    Beat(1, epoch);
    Beat(2, epoch, second / 600, sequence_);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, IsEmpty());
  for (int second = 0; second < 60; ++second) {  // it has left the job and does not report
    Beat(1, epoch, 0, sequence_);                // what one that has reported says means nothing
    Beat(2, epoch, 6, sequence_ - 1);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
}

TEST_F(RankGroupTest, FormingAnsweringAndEndingHaveLimits) {
  Join(1, MakeHello("b", 0));
  const auto a = Join(2, MakeHello("a", 0));
  Formed(2, a->last().assign().epoch());
  const auto pass_with_beats = [this](int time_s) {
    for (int i = 0; i < time_s; ++i) {
      Beat(1);
      Beat(2);
      Pass(seconds(1));
    }
  };
  pass_with_beats(59);
  EXPECT_THAT(recorder_.told, IsEmpty());
  pass_with_beats(1);
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("in time from rank 1 of group g"));
  Form();
  Run();
  Answer(1, 0);
  pass_with_beats(60);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
  Form();
  Start();
  pass_with_beats(300);  // a long job is no reason
  EXPECT_THAT(recorder_.told, IsEmpty());
  Done(1, 0);
  pass_with_beats(59);
  Progress(2, group_->epoch(), sequence_, 1);  // its result keeps coming
  pass_with_beats(59);
  EXPECT_THAT(recorder_.told, ElementsAre("progress 1"));
  pass_with_beats(1);
  EXPECT_THAT(recorder_.told, ElementsAre("progress 1", "lost, charged"));
}

}  // namespace
}  // namespace cogwheel
