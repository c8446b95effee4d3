#include "server/dispatch/rank_groups.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include "proto/contract/status.h"
#include "server/dispatch/membership.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_job_store.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::Hello;
using internal::v1::RankMessage;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FakeLink final : public RankLink {
 public:
  void Send(const FrontendMessage& message) override {
    if (!closed) sent.push_back(message);
  }
  void Close(const absl::Status& why) override {
    if (!closed) closed = why;
  }
  const FrontendMessage& last() const { return sent.back(); }

  std::vector<FrontendMessage> sent;
  std::optional<absl::Status> closed;
};

// Writes down what groups tell.
class Recorder final : public WorkerGroupObserver {
 public:
  void OnIdle(WorkerGroup& group) override {
    groups[group.name()] = &group;
    told.push_back("idle");
  }
  void OnStarted(WorkerGroup&) override { told.push_back("started"); }
  void OnRefused(WorkerGroup&, const absl::Status& why) override {
    told.push_back("refused");
    status = why;
  }
  void OnProgress(WorkerGroup&, const RunProgress& progress) override {
    told.push_back("progress " + std::to_string(progress.step));
  }
  void OnPreview(WorkerGroup&, int, int, std::string_view) override { told.push_back("preview"); }
  void OnResultChunk(WorkerGroup&, int64_t, std::string_view data) override {
    told.push_back("chunk " + std::string(data));
  }
  void OnFinished(WorkerGroup&, const RunOutcome& result) override {
    told.push_back("finished");
    outcome = result;
  }
  void OnLost(WorkerGroup&, const GroupLoss& loss) override {
    told.push_back(loss.charged ? "lost, charged" : "lost");
    status = loss.why;
  }

  std::map<std::string, WorkerGroup*> groups;
  std::vector<std::string> told;
  absl::Status status;
  RunOutcome outcome;
};

Hello MakeHello(const std::string& host, int local_rank, int ranks = 2) {
  Hello hello;
  hello.set_group("g");
  hello.mutable_mesh()->set_cfg(1);
  hello.mutable_mesh()->set_ring(1);
  hello.mutable_mesh()->set_ulysses(ranks);
  hello.set_host(host);
  hello.set_device("cpu");
  hello.set_local_rank(local_rank);
  hello.set_code_version("1");
  hello.set_dtype("fp32");
  hello.set_peer_address(host + ":" + std::to_string(1000 + local_rank));
  internal::v1::ModelInfo& model = *hello.mutable_model();
  model.set_name("tiny");
  model.set_digest("d");
  model.set_default_frames(9);
  model.set_default_height(32);
  model.set_default_width(32);
  model.set_default_fps(8);
  model.set_default_steps(4);
  model.set_default_guidance_scale(6);
  model.set_default_scheduler("dpm");
  model.set_frames_multiple(8);
  model.set_max_frames(49);
  model.set_max_area(1024);
  model.set_max_height(64);
  model.set_max_width(64);
  model.set_max_steps(200);
  model.set_max_text_tokens(16);
  return hello;
}

class RankGroupTest : public testing::Test {
 protected:
  std::shared_ptr<FakeLink> Join(RankId id, const Hello& hello) {
    auto link = std::make_shared<FakeLink>();
    groups_.OnJoin(id, link);
    RankMessage message;
    *message.mutable_hello() = hello;
    groups_.OnMessage(id, message);
    return link;
  }
  void Formed(RankId id, int64_t epoch) {
    RankMessage message;
    message.mutable_formed()->set_epoch(epoch);
    groups_.OnMessage(id, message);
  }
  // Two ranks, formed: ids 1 (host b) and 2 (host a, so world rank 0).
  void Form() {
    b_ = Join(1, MakeHello("b", 0));
    a_ = Join(2, MakeHello("a", 0));
    Formed(1, a_->last().assign().epoch());
    Formed(2, a_->last().assign().epoch());
    group_ = recorder_.groups.at("g");
    recorder_.told.clear();
  }
  void Run() {
    RunOrder order;
    order.job = "jobs/1";
    order.attempt = 1;
    order.image = std::make_shared<const std::string>("image");
    group_->Run(order);
    sequence_ = a_->last().run_job().job_sequence();
  }
  void Answer(RankId id, int code, const std::string& text = "") {
    RankMessage message;
    auto& answer = *message.mutable_job_answer();
    answer.set_epoch(group_->epoch());
    answer.set_job_sequence(sequence_);
    answer.set_code(code);
    answer.set_message(text);
    answer.set_reason(text.empty() ? "" : "WHY");
    groups_.OnMessage(id, message);
  }
  void Start() {
    Run();
    Answer(1, 0);
    Answer(2, 0);
    recorder_.told.clear();
  }
  void Done(RankId id, int code, const std::string& text = "") {
    RankMessage message;
    auto& done = *message.mutable_job_done();
    done.set_epoch(group_->epoch());
    done.set_job_sequence(sequence_);
    done.set_code(code);
    done.set_message(text);
    done.set_sha256("s" + std::to_string(id));
    groups_.OnMessage(id, message);
  }
  void Progress(RankId id, int64_t epoch, int64_t sequence, int step) {
    RankMessage message;
    message.mutable_progress()->set_epoch(epoch);
    message.mutable_progress()->set_job_sequence(sequence);
    message.mutable_progress()->set_stage("denoise");
    message.mutable_progress()->set_step(step);
    groups_.OnMessage(id, message);
  }
  // A rank that leaves the group for good with its report.
  void Broken(RankId id, int code, const std::string& text) {
    RankMessage message;
    auto& done = *message.mutable_job_done();
    done.set_epoch(group_->epoch());
    done.set_job_sequence(sequence_);
    done.set_code(code);
    done.set_message(text);
    done.set_epoch_over(true);
    groups_.OnMessage(id, message);
  }
  void Leaving(RankId id, bool now = false) {
    RankMessage message;
    message.mutable_leaving()->set_epoch(group_->epoch());
    message.mutable_leaving()->set_now(now);
    groups_.OnMessage(id, message);
  }
  // Of all kinds, "kind: count".
  std::vector<std::string> Fenced() {
    std::vector<std::string> found;
    for (const auto& family : metrics_.registry->Collect()) {
      if (family.name != "cogwheel_dispatch_fenced_messages_total") continue;
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) {
          if (label.name != "kind") continue;
          const int count = static_cast<int>(metric.counter.value);
          found.push_back(label.value + ": " + std::to_string(count));
        }
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  // Above nought, "reason: count".
  std::vector<std::string> Aborts() {
    std::vector<std::string> found;
    for (const auto& family : metrics_.registry->Collect()) {
      if (family.name != "cogwheel_parallel_collective_aborts_total") continue;
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) {
          const int count = static_cast<int>(metric.counter.value);
          if (label.name != "reason" || count == 0) continue;
          found.push_back(label.value + ": " + std::to_string(count));
        }
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  void Beat(RankId id, int64_t epoch = 0, int64_t step = 0) {
    RankMessage message;
    message.mutable_heartbeat()->set_epoch(epoch);
    message.mutable_heartbeat()->set_step(step);
    groups_.OnMessage(id, message);
  }
  void Pass(seconds time) {
    clock_.Advance(time);
    groups_.Tick();
  }
  v1::Group Board() { return board_.Find("g").value(); }

  FakeClock clock_;
  MemoryJobStore store_;
  Recorder recorder_;
  GroupBoard board_;
  ServerMetrics metrics_{MakeRegistry()};
  RankGroups groups_{{store_, clock_, recorder_, board_, metrics_, RankGroup::Limits()}};
  std::shared_ptr<FakeLink> a_, b_;
  WorkerGroup* group_ = nullptr;
  int64_t sequence_ = 0;
};

TEST_F(RankGroupTest, FormsWhenAllPlacesAreFilled) {
  const auto b = Join(1, MakeHello("b", 0));
  EXPECT_THAT(b->sent, IsEmpty());
  EXPECT_EQ(v1::RANK_JOINED, Board().ranks(0).state());
  EXPECT_EQ(-1, Board().ranks(0).world_rank());
  EXPECT_TRUE(store_.Models()->empty());
  const auto a = Join(2, MakeHello("a", 0));
  ASSERT_TRUE(a->last().has_assign());
  const internal::v1::Assign& assign = a->last().assign();
  EXPECT_EQ(0, assign.world_rank());  // by host, not by arrival
  EXPECT_EQ(1, b->last().assign().world_rank());
  EXPECT_THAT(assign.peer_addresses(), ElementsAre("a:1000", "b:1000"));
  EXPECT_EQ(16, assign.token().size());
  EXPECT_EQ(assign.token(), b->last().assign().token());
  EXPECT_GT(assign.epoch(), 0);
  Formed(1, assign.epoch());
  EXPECT_FALSE(Board().ready());
  Formed(2, assign.epoch() - 1);  // of an older epoch
  EXPECT_FALSE(Board().ready());
  Formed(2, assign.epoch());
  EXPECT_TRUE(Board().ready());
  EXPECT_THAT(recorder_.told, ElementsAre("idle"));
  EXPECT_EQ("tiny", store_.Models()->at(0).name());
  EXPECT_EQ(v1::RANK_READY, Board().ranks(1).state());
}

TEST_F(RankGroupTest, ADifferingRankIsRefusedByWhatDiffers) {
  Join(1, MakeHello("a", 0));
  const auto refusal = [this](const std::function<void(Hello&)>& change) {
    Hello hello = MakeHello("a", 1);
    change(hello);
    const auto link = Join(9, hello);
    EXPECT_TRUE(link->closed.has_value());
    EXPECT_TRUE(absl::IsFailedPrecondition(link->closed.value_or(absl::OkStatus())));
    return std::string(link->closed.value_or(absl::OkStatus()).message());
  };
  EXPECT_THAT(refusal([](Hello& h) { h.mutable_model()->set_digest("e"); }),
              HasSubstr("a:cpu (local rank 1) has model digest e, rank a:cpu (local rank 0) of "
                        "group g has d"));
  EXPECT_THAT(refusal([](Hello& h) { h.set_code_version("2"); }), HasSubstr("code version 2"));
  EXPECT_THAT(refusal([](Hello& h) { h.set_dtype("bf16"); }), HasSubstr("dtype bf16"));
  EXPECT_THAT(refusal([](Hello& h) { h.set_nccl_version("x"); }), HasSubstr("NCCL version x"));
  EXPECT_THAT(refusal([](Hello& h) { h.mutable_mesh()->set_ring(2); }), HasSubstr("ring 2"));
  EXPECT_THAT(refusal([](Hello& h) { h.mutable_model()->set_name("m"); }), HasSubstr("model m"));
  EXPECT_EQ(1, Board().ranks_size());
}

TEST_F(RankGroupTest, ABadGreetingIsRefused) {
  const auto refused = [this](const std::function<void(Hello&)>& change) {
    Hello hello = MakeHello("a", 0);
    change(hello);
    const auto link = Join(9, hello);
    return link->closed.has_value() && absl::IsInvalidArgument(*link->closed);
  };
  EXPECT_TRUE(refused([](Hello& h) { h.clear_group(); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_mesh()->set_ring(0); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_mesh()->set_cfg(3); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_mesh()->set_ulysses(1025); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_model()->set_max_area(0); }));
  EXPECT_TRUE(refused([](Hello& h) { h.mutable_model()->set_default_scheduler("x"); }));
  EXPECT_TRUE(refused([](Hello& h) { h.clear_peer_address(); }));
  const auto link = std::make_shared<FakeLink>();
  groups_.OnJoin(10, link);
  Beat(10);  // no Hello
  EXPECT_TRUE(link->closed.has_value());
  const auto silent = std::make_shared<FakeLink>();
  groups_.OnJoin(11, silent);
  Pass(seconds(9));
  EXPECT_FALSE(silent->closed.has_value());
  Pass(seconds(1));
  EXPECT_TRUE(silent->closed.has_value());
}

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
  EXPECT_TRUE(group_->idle());
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
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("rank b:cpu"));
  Run();
  Answer(1, 0);
  Answer(2, 0);
  EXPECT_TRUE(a_->last().has_start_job());
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

TEST_F(RankGroupTest, ALostRankEndsTheEpochAndTheOthersLeave) {
  Form();
  Start();
  const int64_t epoch = group_->epoch();
  groups_.OnGone(1);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
  EXPECT_TRUE(absl::IsUnavailable(recorder_.status));
  EXPECT_EQ("GROUP_LOST", ErrorReason(recorder_.status));
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("b:cpu (local rank 0)"));
  EXPECT_EQ(epoch, a_->last().shutdown().epoch());
  EXPECT_TRUE(a_->closed.has_value());
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
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("b:cpu"));
  EXPECT_TRUE(b_->closed.has_value());
}

// Ranks that wait for others, or load, owe their beats like all others.
TEST_F(RankGroupTest, SilenceIsNoticedWhileGatheringAndForming) {
  const auto waiting = Join(1, MakeHello("b", 0));
  Pass(seconds(5));
  EXPECT_EQ(v1::RANK_SUSPECT, Board().ranks(0).state());
  Pass(seconds(10));
  EXPECT_TRUE(waiting->closed.has_value());
  EXPECT_EQ(0, Board().ranks_size());
  EXPECT_THAT(recorder_.told, IsEmpty());

  Join(2, MakeHello("b", 0));
  Join(3, MakeHello("a", 0));
  Pass(seconds(14));
  Beat(2);
  Pass(seconds(1));
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("a:cpu (local rank 0)"));
}

TEST_F(RankGroupTest, HeartbeatsAreAnswered) {
  const auto waiting = Join(1, MakeHello("b", 0));
  Beat(1);
  EXPECT_TRUE(waiting->last().has_beat());
  groups_.OnGone(1);
  Form();
  Beat(2);
  EXPECT_EQ(group_->epoch(), a_->last().beat().epoch());
  EXPECT_FALSE(b_->last().has_beat());
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
  EXPECT_FALSE(group_->idle());
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
              HasSubstr("b:cpu (local rank 0) of group g failed: illegal address"));
  Form();
  Start();
  RankMessage message;
  message.mutable_rank_fault()->set_epoch(group_->epoch());
  message.mutable_rank_fault()->set_message("step 3 took 10 s");
  groups_.OnMessage(2, message);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
  EXPECT_THAT(std::string(recorder_.status.message()),
              HasSubstr("a:cpu (local rank 0) of group g hangs: step 3 took 10 s"));
}

TEST_F(RankGroupTest, AbortedExchangesAreCountedByReason) {
  const auto begin = [this] {
    Form();
    Start();
  };
  begin();
  Broken(1, 13, "illegal address");
  begin();
  Broken(1, 13, "ranks are out of step");
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

TEST_F(RankGroupTest, ARankThatComesBackEndsItsOldEpoch) {
  Form();
  const auto again = Join(3, MakeHello("b", 0));
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
  EXPECT_TRUE(b_->closed.has_value());
  EXPECT_EQ(1, Board().ranks_size());
  EXPECT_THAT(again->sent, IsEmpty());
}

TEST_F(RankGroupTest, AWaitingRankMayLeaveOrBeReplaced) {
  const auto first = Join(1, MakeHello("a", 0));
  Join(2, MakeHello("a", 0));
  EXPECT_TRUE(first->closed.has_value());
  EXPECT_EQ(1, Board().ranks_size());
  groups_.OnGone(2);
  EXPECT_EQ(0, Board().ranks_size());
  EXPECT_THAT(recorder_.told, IsEmpty());
}

TEST_F(RankGroupTest, OneRankTooManyIsRefused) {
  Form();
  const auto third = Join(3, MakeHello("c", 0));
  ASSERT_TRUE(third->closed.has_value());
  EXPECT_EQ("GROUP_COMPLETE", ErrorReason(*third->closed));
  EXPECT_THAT(recorder_.told, IsEmpty());
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
  EXPECT_THAT(std::string(recorder_.status.message()), HasSubstr("from b:cpu (local rank 0)"));
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
  pass_with_beats(60);
  EXPECT_THAT(recorder_.told, ElementsAre("lost, charged"));
}

TEST_F(RankGroupTest, AGroupMayFormForAsLongAsWeightsCome) {
  Join(1, MakeHello("b", 0));
  const int64_t epoch = Join(2, MakeHello("a", 0))->last().assign().epoch();
  for (int second = 1; second <= 300; ++second) {  // rank 1 has loaded, rank 2 still does
    Beat(1, epoch, /*step=*/1000);
    Beat(2, epoch, second);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, IsEmpty());
  for (int second = 0; second < 60; ++second) {
    Beat(1, epoch, 1000);
    Beat(2, epoch, 300);
    Pass(seconds(1));
  }
  EXPECT_THAT(recorder_.told, ElementsAre("lost"));
}

TEST(WorldOrder, IsByHostThenLocalRank) {
  const std::vector<Hello> members = {MakeHello("b", 10), MakeHello("b", 2), MakeHello("a", 1),
                                      MakeHello("a", 0)};
  EXPECT_THAT(WorldOrder(members), ElementsAre(3, 2, 1, 0));
}

}  // namespace
}  // namespace cogwheel
