#include "worker/rank/rank_loop.h"

#include <stdexcept>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/journaled_ranks.h"
#include "worker/rank/exit_code.h"
#include "worker/rank/guard.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

constexpr int64_t kEpoch = 4;
constexpr int kTooLarge = 199;  // steps of a job for which there is no room

// Plans and runs what the test says.
class FakePipeline final : public Pipeline {
 public:
  JobFootprint Plan(const JobSpec& spec) override {
    if (spec.steps == 0) throw std::invalid_argument("steps 0 cannot be");
    if (spec.steps == kTooLarge) throw std::bad_alloc();
    return {.text = 60, .denoise = 100};
  }
  std::vector<std::string> Warnings(const JobSpec& spec) const override { return {spec.prompt}; }
  double DecodeInSteps(const JobSpec& spec) const override { return spec.steps / 2.0; }
  PipelineSeconds Run(const JobSpec& spec, Communicator&, ProgramJournal&, FrameSink& sink,
                      const StepCommandSource& command) override {
    sink.OnProgress(Stage::kDenoise, 0, spec.steps);
    const StepCommand next = command();
    if (next != StepCommand::kRun) throw JobCancelled(/*stop=*/next == StepCommand::kStop);
    if (on_run) on_run();
    return {.denoise = 2};
  }
  JobPlace place() const override { return {.words = "step 2 of 3", .hosts_only = hosts_only}; }
  int64_t work_counter() const override { return 0; }
  std::function<void()> on_run;
  bool hosts_only = true;
};

class FakeOutput final : public JobOutput {
 public:
  void OnProgress(Stage, int, int) override {}
  void OnPreview(std::span<const uint8_t>, int, int, int, int) override {}
  void OnFrames(std::span<const uint8_t>, int, int, int) override {}
  void OnLatents(std::span<const float>, int, int, int, int) override {}
  absl::Status status() const override { return current; }
  absl::StatusOr<OutputSummary> Finish() override { return OutputSummary{.size_bytes = 5}; }
  absl::Status current;
};

class FakeLink final : public FrontendLink {
 public:
  void SendFormed(int64_t epoch, uint32_t /*weights_crc32c*/) override { formed = epoch; }
  void SendAnswer(const RunOrder& order, const absl::Status& status,
                  int64_t planned_bytes) override {
    answers.push_back(status);
    warnings = order.warnings;
    decode_in_steps = order.decode_in_steps;
    planned = planned_bytes;
    if (on_answer) on_answer();
  }
  void SendDone(const JobReport& report) override { reports.push_back(report); }
  absl::Status DecodeImage(RunOrder& order) override {
    if (order.image_bytes == "bad") return absl::InvalidArgumentError("no picture");
    if (order.image_bytes == "large") throw std::bad_alloc();
    order.spec.image_rgb = {1};
    return absl::OkStatus();
  }
  std::unique_ptr<JobOutput> OpenOutput(const JobSpec&) override {
    auto output = std::make_unique<FakeOutput>();
    output->current = output_status;
    return output;
  }
  bool CancelRequested(int64_t job_sequence) const override { return cancelled == job_sequence; }
  bool StopRequested(int64_t job_sequence) const override { return stopped == job_sequence; }
  void ShowJob(int64_t, const Pipeline* pipeline) override { shown = pipeline; }
  void Flush() override { ++flushes; }

  int64_t formed = 0, planned = 0, cancelled = -1, stopped = -1;
  int flushes = 0;
  const Pipeline* shown = nullptr;
  std::function<void()> on_answer;
  absl::Status output_status;
  std::vector<absl::Status> answers;
  std::vector<std::string> warnings;  // of the last answer
  double decode_in_steps = 0;         // of the last answer
  std::vector<JobReport> reports;
};

class RankLoopTest : public testing::Test {
 protected:
  void Put(Order order) { ASSERT_TRUE(mailbox_.Push(std::move(order)).ok()); }
  void PutJob(int64_t sequence, int steps = 3, const std::string& image = "") {
    RunOrder order;
    order.spec = {.job = "jobs/a", .epoch = kEpoch, .job_sequence = sequence, .steps = steps};
    order.image_bytes = image;
    Put(std::move(order));
  }
  void PutStart(int64_t sequence) { Put(StartOrder{.epoch = kEpoch, .job_sequence = sequence}); }
  int Run() {
    auto world = MakeJournaledWorld(1, std::chrono::seconds(5));
    RankLoop loop({.connect =
                       [&](const AssignOrder&) {
                         order_.push_back("connect");
                         if (connect_fails_) throw CommError("no peer");
                         return std::move(world[0].world);
                       },
                   .load =
                       [&](int) {
                         order_.push_back("load");
                         if (on_load_) on_load_();
                         auto pipeline = std::make_unique<FakePipeline>();
                         pipeline->on_run = on_run_;
                         pipeline->hosts_only = hosts_only_;
                         return pipeline;
                       },
                   .joined = [&](const AssignOrder&) { order_.push_back("joined"); },
                   .left_job = [&](const std::string& reason) { left_.push_back(reason); },
                   .drain_requested = [&] { return drain_; }},
                  mailbox_, link_, watchdog_);
    return loop.Run();
  }

  const SystemClock clock_;
  Watchdog watchdog_{{.clock = clock_}};
  JobMailbox mailbox_{64};
  FakeLink link_;
  std::function<void()> on_load_, on_run_;
  std::vector<std::string> order_, left_;
  bool connect_fails_ = false, drain_ = false, hosts_only_ = true;
};

TEST_F(RankLoopTest, RunsJobAfterJobUntilTheEpochEnds) {
  Put(AssignOrder{.epoch = kEpoch});
  for (const int64_t sequence : {1, 2}) {
    PutJob(sequence);
    PutStart(sequence);
  }
  Put(ShutdownOrder{.epoch = kEpoch});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_EQ(link_.formed, kEpoch);
  EXPECT_EQ(link_.planned, 100);
  ASSERT_EQ(link_.reports.size(), 2);
  EXPECT_TRUE(link_.reports[1].status.ok());
  EXPECT_EQ(link_.reports[1].job_sequence, 2);
  EXPECT_EQ(link_.reports[1].output.size_bytes, 5);
  EXPECT_EQ(link_.reports[1].seconds.denoise, 2);
}

// Heartbeats go on until after the loop.
TEST_F(RankLoopTest, ShowsNoModelThatIsGone) {
  Put(AssignOrder{.epoch = kEpoch});
  Put(ShutdownOrder{.epoch = kEpoch});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_EQ(link_.formed, kEpoch);
  EXPECT_EQ(link_.shown, nullptr);
}

TEST_F(RankLoopTest, TheAnswerSaysWhatTheJobsOwnerIsToBeToldAndItsDecode) {
  Put(AssignOrder{.epoch = kEpoch});
  RunOrder order;
  order.spec = {.epoch = kEpoch, .job_sequence = 1, .prompt = "61 were cut", .steps = 3};
  Put(std::move(order));
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_THAT(link_.warnings, testing::ElementsAre("61 were cut"));
  EXPECT_EQ(link_.decode_in_steps, 1.5);
}

TEST_F(RankLoopTest, AJobThatCannotBePlannedFailsAlone) {
  Put(AssignOrder{.epoch = kEpoch});
  PutJob(1, /*steps=*/0);
  PutJob(2, /*steps=*/3, "bad");
  PutJob(3, /*steps=*/3, "large");
  PutJob(4, kTooLarge);
  PutJob(5, /*steps=*/3, "good");
  PutStart(5);
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  ASSERT_EQ(link_.answers.size(), 5);
  EXPECT_EQ(link_.answers[0].message(), "steps 0 cannot be");
  EXPECT_EQ(link_.answers[1].message(), "no picture");
  EXPECT_EQ(link_.answers[2].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(link_.answers[3].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(link_.answers[4].ok());
  EXPECT_EQ(link_.reports.size(), 1);
}

// The wire's own refusal: answered in the job's turn, so that the next one is the next.
TEST_F(RankLoopTest, AJobThatTheWireCannotReadFailsAlone) {
  Put(AssignOrder{.epoch = kEpoch});
  RunOrder order;
  order.spec = {.job = "jobs/a", .epoch = kEpoch, .job_sequence = 1, .steps = 3};
  order.problem = absl::UnimplementedError("scheduler 3");
  Put(std::move(order));
  Put(DropOrder{.epoch = kEpoch, .job_sequence = 1});
  PutJob(2);
  PutStart(2);
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  ASSERT_EQ(link_.answers.size(), 2);
  EXPECT_TRUE(absl::IsUnimplemented(link_.answers[0]));
  ASSERT_EQ(link_.reports.size(), 1);
  EXPECT_EQ(link_.reports[0].job_sequence, 2);
}

// Job 2 was offered in a message of unknown kind: this rank hears of it only that it is dropped.
TEST_F(RankLoopTest, AJobThatWasNeverUnderstoodIsNoGap) {
  Put(AssignOrder{.epoch = kEpoch});
  PutJob(1);
  PutStart(1);
  Put(DropOrder{.epoch = kEpoch, .job_sequence = 2});
  PutJob(3);
  PutStart(3);
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  ASSERT_EQ(link_.reports.size(), 2);
  EXPECT_EQ(link_.reports[1].job_sequence, 3);
}

TEST_F(RankLoopTest, ADroppedJobDoesNotRun) {
  Put(AssignOrder{.epoch = kEpoch});
  PutJob(1);
  Put(DropOrder{.epoch = kEpoch, .job_sequence = 1});
  PutJob(2);
  PutStart(2);
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  ASSERT_EQ(link_.reports.size(), 1);
  EXPECT_EQ(link_.reports[0].job_sequence, 2);
}

TEST_F(RankLoopTest, ACancelledJobLeavesTheGroupAlive) {
  link_.cancelled = 1;
  Put(AssignOrder{.epoch = kEpoch});
  for (const int64_t sequence : {1, 2}) {
    PutJob(sequence);
    PutStart(sequence);
  }
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_TRUE(absl::IsCancelled(link_.reports.at(0).status));
  EXPECT_TRUE(link_.reports.at(1).status.ok());
}

// A reader that does not read fails the job, with its own status, and nothing else.
TEST_F(RankLoopTest, AnOutputThatFailsEndsItsJobOnly) {
  link_.output_status = absl::ResourceExhaustedError("not taken");
  Put(AssignOrder{.epoch = kEpoch});
  PutJob(1);
  PutStart(1);
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_EQ(link_.reports.at(0).status.message(), "not taken");
}

TEST_F(RankLoopTest, AFailureAmongCollectivesEndsTheGroup) {
  struct Row {
    std::function<void()> failure;
    int exit_code;
    absl::StatusCode reported;
  };
  const Row rows[] = {
      {[] { throw CommError("peer"); }, kExitGroupLost, absl::StatusCode::kUnavailable},
      {[] { throw std::runtime_error("bug"); }, kExitInternal, absl::StatusCode::kInternal},
      {[] { throw std::bad_alloc(); }, kExitInternal, absl::StatusCode::kResourceExhausted},
  };
  hosts_only_ = false;  // other ranks' devices wait for this one's
  for (const Row& row : rows) {
    on_run_ = row.failure;
    link_ = FakeLink();
    Put(AssignOrder{.epoch = kEpoch});
    PutJob(1);
    PutStart(1);
    EXPECT_EQ(Run(), row.exit_code);
    EXPECT_EQ(link_.reports.at(0).status.code(), row.reported);
    EXPECT_TRUE(link_.reports.at(0).epoch_over);
    EXPECT_GE(link_.flushes, 1);
  }
}

// Memory that is not there and values that are not finite end their job; the next one runs.
TEST_F(RankLoopTest, WhatFailsAloneLeavesTheGroup) {
  struct Row {
    std::function<void()> failure;
    absl::StatusCode code;
    const char *reason, *message;
  };
  const Row rows[] = {
      {[] { throw std::bad_alloc(); }, absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY",
       "out of memory: step 2 of 3 on rank 0: no memory was left for an allocation"},
      {[] { throw WorkAbandoned("out of memory: decode on rank 7: x"); },
       absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", "out of memory: decode on rank 7: x"},
      {[] { throw NotFinite("not finite: step 1 of 3 on rank 7"); }, absl::StatusCode::kInternal,
       "NOT_FINITE", "not finite: step 1 of 3 on rank 7"}};
  for (const Row& row : rows) {
    link_ = FakeLink();
    bool failed = false;
    on_run_ = [&] {
      if (!std::exchange(failed, true)) row.failure();
    };
    Put(AssignOrder{.epoch = kEpoch});
    for (const int64_t sequence : {1, 2}) {
      PutJob(sequence);
      PutStart(sequence);
    }
    Put(ShutdownOrder{.epoch = kEpoch});
    EXPECT_EQ(Run(), kExitGroupLost);
    ASSERT_EQ(link_.reports.size(), 2);
    const JobReport& report = link_.reports[0];
    EXPECT_EQ(report.status.code(), row.code);
    EXPECT_EQ(ReasonOf(report.status), row.reason);
    EXPECT_EQ(report.status.message(), row.message);
    EXPECT_FALSE(report.epoch_over);
    EXPECT_TRUE(link_.reports[1].status.ok());
    EXPECT_EQ(left_, std::vector<std::string>{row.reason});
    left_.clear();
  }
}

TEST_F(RankLoopTest, RefusesAnyJobButTheNext) {
  Put(AssignOrder{.epoch = kEpoch});
  PutJob(1);
  PutStart(1);
  PutJob(3);
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_EQ(link_.answers.size(), 1);
}

TEST_F(RankLoopTest, StartsNoJobThatItHasNotAgreedTo) {
  Put(AssignOrder{.epoch = kEpoch});
  PutStart(1);
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_TRUE(link_.reports.empty());
}

// Not in a group yet, it lets pass what is meant for one.
TEST_F(RankLoopTest, OrdersForAGroupMeanNothingToARankWithoutOne) {
  PutJob(1);
  PutStart(1);
  Put(DropOrder{.epoch = kEpoch, .job_sequence = 1});
  Put(ShutdownOrder{});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_TRUE(link_.answers.empty());
}

TEST_F(RankLoopTest, LowerEpochsAreDroppedHigherOnesEndTheRank) {
  Put(AssignOrder{.epoch = kEpoch});
  Put(StartOrder{.epoch = kEpoch - 1, .job_sequence = 1});
  Put(AssignOrder{.epoch = kEpoch - 1});
  Put(AssignOrder{.epoch = kEpoch + 1});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_EQ(link_.formed, kEpoch);
}

TEST_F(RankLoopTest, ALostFrontendEndsTheRank) {
  Put(LinkLost{.reason = "reset"});
  EXPECT_EQ(Run(), kExitFrontendLost);
  Put(LinkLost{.reason = "silent", .why = LinkLost::Why::kSentAway});
  EXPECT_EQ(Run(), kExitGroupLost);
  Put(LinkLost{.reason = "another model", .why = LinkLost::Why::kRefused});
  EXPECT_EQ(Run(), kExitRefused);
}

TEST_F(RankLoopTest, AGroupThatDoesNotFormEndsTheRank) {
  connect_fails_ = true;
  Put(AssignOrder{.epoch = kEpoch});
  EXPECT_EQ(Run(), kExitGroupLost);
}

// One of them may load for an hour longer than the others: nobody waits for it to be met.
TEST_F(RankLoopTest, RanksMeetBeforeTheyLoad) {
  Put(AssignOrder{.epoch = kEpoch});
  Put(ShutdownOrder{.epoch = kEpoch});
  on_load_ = [this] { EXPECT_EQ(link_.formed, 0); };
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_EQ(order_, (std::vector<std::string>{"connect", "load", "joined"}));
  EXPECT_EQ(link_.formed, kEpoch);
  on_load_ = [] { throw ReadError("Input/output error"); };
  order_.clear();
  Put(AssignOrder{.epoch = kEpoch});
  EXPECT_EQ(Run(), kExitGroupLost);
  EXPECT_EQ(order_, (std::vector<std::string>{"connect", "load"}));
}

// A wrong checkpoint is wrong for ever, a disk that failed may be well on the next start.
TEST_F(RankLoopTest, WhyWeightsDoNotLoadDecidesWhetherTheRankIsStartedAgain) {
  on_load_ = [] { throw std::invalid_argument("x.safetensors: damaged"); };
  Put(AssignOrder{.epoch = kEpoch});
  EXPECT_EQ(Run(), kExitRefused);
  on_load_ = [] { throw ReadError("x.safetensors cannot be read at byte 7: Input/output error"); };
  Put(AssignOrder{.epoch = kEpoch});
  EXPECT_EQ(Run(), kExitGroupLost);
}

TEST_F(RankLoopTest, DrainsBetweenJobs) {
  drain_ = true;
  EXPECT_EQ(Run(), kExitLeft);
}

// A job is handed back: the world stays whole, and what ends the epoch decides the exit code.
TEST_F(RankLoopTest, AStoppedJobIsHandedBackAndTheRankLeaves) {
  const std::pair<Order, int> rows[] = {
      {ShutdownOrder{.epoch = kEpoch}, kExitGroupLost},
      {LinkLost{.reason = "reset"}, kExitFrontendLost},
  };
  for (const auto& [last, exit_code] : rows) {
    for (const bool drain : {false, true}) {
      link_ = FakeLink();
      link_.stopped = 1;
      drain_ = false;
      link_.on_answer = [this, drain = drain] { drain_ = drain; };
      Put(AssignOrder{.epoch = kEpoch});
      PutJob(1);
      PutStart(1);
      Put(last);
      EXPECT_EQ(Run(), drain ? kExitLeft : exit_code);
      EXPECT_TRUE(absl::IsAborted(link_.reports.at(0).status));
      EXPECT_TRUE(link_.reports.at(0).epoch_over);
    }
    while (mailbox_.Pop(std::chrono::nanoseconds(0)).ok()) {
    }
  }
}

TEST_F(RankLoopTest, ADrainingRankFinishesTheJobItAgreedTo) {
  Put(AssignOrder{.epoch = kEpoch});
  PutJob(1);
  link_.on_answer = [this] { drain_ = true; };
  PutStart(1);
  EXPECT_EQ(Run(), kExitLeft);
  EXPECT_TRUE(link_.reports.at(0).status.ok());
  EXPECT_FALSE(link_.reports.at(0).epoch_over);
}

}  // namespace
}  // namespace cogwheel
