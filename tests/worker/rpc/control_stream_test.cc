#include "worker/rpc/control_stream.h"

#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "tests/worker/rpc/fake_frontend.h"
#include "worker/rank/failure_status.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;
using std::chrono::milliseconds;
using std::chrono::seconds;

ControlStream::Options OptionsFor(const std::string& frontend) {
  RankIdentity identity;
  identity.group = "g";
  identity.mesh = {.cfg = 2, .ring = 1, .ulysses = 3};
  identity.dtype = "fp32";
  identity.model.name = "m";
  identity.model.max_frames = 49;
  identity.peer_address = "127.0.0.1:9";
  return {.frontend = frontend,
          .identity = identity,
          .dial_limit = milliseconds(300),
          .stop_requested = [] { return false; }};
}

class ControlStreamTest : public testing::Test {
 protected:
  void Connect() {
    ControlStream::Options options = OptionsFor(frontend_.address());
    options.on_epoch_over = [this](const std::string& why) { epoch_over_ = why; };
    options.on_frontend_gone = [this](const std::string&) { ++frontend_gone_; };
    options.gone = gone_;
    options.send_limit = send_limit_;
    auto connected = ControlStream::Connect(options, mailbox_);
    ASSERT_TRUE(connected.ok()) << connected.status();
    link_ = *std::move(connected);
    ASSERT_TRUE(frontend_.WaitForRanks(1, seconds(5)));
  }
  template <typename Kind>
  Kind Next() {
    absl::StatusOr<Order> order = mailbox_.Pop(seconds(5));
    if (!order.ok() || !std::holds_alternative<Kind>(*order)) {
      ADD_FAILURE() << "another order, or none: " << order.status();
      return {};
    }
    return std::get<Kind>(*std::move(order));
  }
  void Assign(int64_t epoch) {
    FrontendMessage message;
    message.mutable_assign()->set_epoch(epoch);
    message.mutable_assign()->set_world_rank(5);
    message.mutable_assign()->add_peer_addresses("a:1");
    message.mutable_assign()->set_token("t");
    frontend_.Send(0, message);
  }

  // Says that the job is done and returns what the frontend has got of its result, joined.
  std::string DoneWithResult(int64_t job_sequence, const OutputSummary& summary) {
    link_->SendDone({.epoch = 6, .job_sequence = job_sequence, .output = summary});
    EXPECT_NE(frontend_.Wait(
                  0, [](const RankMessage& m) { return m.has_job_done(); }, seconds(5)),
              nullptr);
    std::string file;
    for (const RankMessage& message : frontend_.Seen(0)) {
      const internal::v1::ResultChunk& chunk = message.result_chunk();
      if (!message.has_result_chunk() || chunk.job_sequence() != job_sequence) continue;
      EXPECT_LE(chunk.data().size(), size_t{256} * 1024);
      EXPECT_EQ(chunk.offset(), static_cast<int64_t>(file.size()));
      file += chunk.data();
    }
    EXPECT_EQ(summary.size_bytes, static_cast<int64_t>(file.size()));
    EXPECT_EQ(summary.sha256, Sha256Hex(file));
    return file;
  }

  FakeFrontend frontend_;
  milliseconds gone_{15'000}, send_limit_{30'000};
  std::string epoch_over_;
  std::atomic<int> frontend_gone_{0};
  JobMailbox mailbox_{16};
  std::unique_ptr<ControlStream> link_;
};

TEST_F(ControlStreamTest, SaysHello) {
  Connect();
  const internal::v1::Hello hello = frontend_.hello(0);
  EXPECT_EQ(hello.group(), "g");
  EXPECT_EQ(hello.mesh().cfg(), 2);
  EXPECT_EQ(hello.mesh().ulysses(), 3);
  EXPECT_EQ(hello.model().name(), "m");
  EXPECT_EQ(hello.model().max_frames(), 49);
  EXPECT_EQ(hello.peer_address(), "127.0.0.1:9");
}

TEST_F(ControlStreamTest, OrdersArriveAsPlainValues) {
  Connect();
  Assign(6);
  const auto assign = Next<AssignOrder>();
  EXPECT_EQ(assign.epoch, 6);
  EXPECT_EQ(assign.world_rank, 5);
  EXPECT_EQ(assign.peer_addresses, std::vector<std::string>{"a:1"});
  EXPECT_EQ(assign.token, "t");

  FrontendMessage message;
  internal::v1::RunJob& run = *message.mutable_run_job();
  run.set_epoch(6);
  run.set_job_sequence(2);
  run.set_job("jobs/x");
  run.mutable_plan()->set_prompt("p");
  run.mutable_plan()->set_seed(~uint64_t{0});
  run.mutable_plan()->set_frames(9);
  run.mutable_plan()->set_height(64);
  run.mutable_plan()->set_width(64);
  run.mutable_plan()->set_fps(8);
  run.mutable_plan()->set_max_sequence_length(32);
  run.mutable_plan()->set_steps(50);
  run.mutable_plan()->set_scheduler(internal::v1::SCHEDULER_DPM);
  run.mutable_plan()->set_output_type(internal::v1::OUTPUT_TYPE_LATENT);
  run.mutable_plan()->set_image("bytes");
  frontend_.Send(0, message);
  const auto order = Next<RunOrder>();
  EXPECT_EQ(order.spec.job, "jobs/x");
  EXPECT_EQ(order.spec.seed, ~uint64_t{0});
  EXPECT_EQ(order.spec.scheduler, SchedulerKind::kDpm);
  EXPECT_EQ(order.spec.output, OutputKind::kLatent);
  EXPECT_EQ(order.spec.preview_every, 9);
  EXPECT_EQ(order.image_bytes, "bytes");

  message.Clear();
  message.mutable_shutdown()->set_epoch(5);  // of an older epoch: dropped
  frontend_.Send(0, message);
  message.mutable_shutdown()->set_epoch(6);
  message.mutable_shutdown()->set_reason("bye");
  frontend_.Send(0, message);
  EXPECT_EQ(Next<ShutdownOrder>().reason, "bye");
  EXPECT_EQ(epoch_over_, "bye");  // told at once, not only when the rank thread looks
}

// Of a later frontend: it must not wait for this rank.
TEST_F(ControlStreamTest, AMessageOfUnknownKindIsAnsweredAtOnce) {
  Connect();
  Assign(6);
  Next<AssignOrder>();
  internal::v1::StartJob body;
  body.set_epoch(6);
  body.set_job_sequence(9);
  FrontendMessage later;
  later.GetReflection()->MutableUnknownFields(&later)->AddLengthDelimited(31,
                                                                          body.SerializeAsString());
  frontend_.Send(0, later);
  const auto answer =
      frontend_.Wait(0, [](const RankMessage& m) { return m.has_not_understood(); }, seconds(5));
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->not_understood().field(), 31);
  EXPECT_EQ(answer->not_understood().epoch(), 6);
  EXPECT_EQ(answer->not_understood().job_sequence(), 9);
  FrontendMessage drop;
  drop.mutable_drop_job()->set_job_sequence(9);
  frontend_.Send(0, drop);
  EXPECT_EQ(Next<DropOrder>().job_sequence, 9);  // nothing of it is in the way
}

TEST_F(ControlStreamTest, TellsWhenItLeavesOrHangs) {
  Connect();
  Assign(6);
  Next<AssignOrder>();
  link_->SendLeaving(/*now=*/false);
  link_->SendLeaving(/*now=*/true);
  link_->SendFault("step 3 took 10 s");
  const auto fault =
      frontend_.Wait(0, [](const RankMessage& m) { return m.has_rank_fault(); }, seconds(5));
  ASSERT_NE(fault, nullptr);
  EXPECT_EQ(fault->rank_fault().epoch(), 6);
  EXPECT_EQ(fault->rank_fault().message(), "step 3 took 10 s");
  const auto seen = frontend_.Seen(0);
  ASSERT_EQ(seen.size(), 2);
  EXPECT_FALSE(seen[0].leaving().now());
  EXPECT_TRUE(seen[1].leaving().now());
}

TEST_F(ControlStreamTest, AStopIsFencedByEpochAndJob) {
  Connect();
  Assign(6);
  Next<AssignOrder>();
  FrontendMessage message;
  message.mutable_stop_job()->set_epoch(5);
  message.mutable_stop_job()->set_job_sequence(2);
  frontend_.Send(0, message);
  message.mutable_stop_job()->set_epoch(6);
  message.mutable_stop_job()->set_job_sequence(1);
  frontend_.Send(0, message);
  message.mutable_start_job();  // arrives after them
  frontend_.Send(0, message);
  Next<StartOrder>();
  EXPECT_TRUE(link_->StopRequested(1));
  EXPECT_FALSE(link_->StopRequested(2));
}

// A black hole: the connection stands, nothing comes back.
TEST_F(ControlStreamTest, AFrontendThatAnswersNoHeartbeatIsGone) {
  gone_ = milliseconds(1500);
  Connect();
  EXPECT_TRUE(absl::IsDeadlineExceeded(mailbox_.Pop(seconds(3)).status()));  // it answers
  frontend_.FallSilent();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Next<LinkLost>().why, LinkLost::Why::kFrontendGone);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(4));
  EXPECT_EQ(frontend_gone_, 1);
  EXPECT_TRUE(link_->StopRequested(7));  // whatever runs is handed back
}

// Only the running epoch's cancel counts.
TEST_F(ControlStreamTest, CancelsAreFencedByEpoch) {
  Connect();
  Assign(6);
  Next<AssignOrder>();
  FrontendMessage message;
  const auto cancel = [&](int64_t epoch, int64_t sequence) {
    message.mutable_cancel_job()->set_epoch(epoch);
    message.mutable_cancel_job()->set_job_sequence(sequence);
    frontend_.Send(0, message);
    message.Clear();
    message.mutable_start_job();  // arrives after the cancel
    frontend_.Send(0, message);
    Next<StartOrder>();
  };
  cancel(5, 1);
  EXPECT_FALSE(link_->CancelRequested(1));
  cancel(6, 2);
  EXPECT_TRUE(link_->CancelRequested(2));
  EXPECT_FALSE(link_->CancelRequested(3));
}

TEST_F(ControlStreamTest, AnswersAndReportsReachTheFrontend) {
  Connect();
  RunOrder order;
  order.spec.epoch = 6;
  order.spec.job_sequence = 2;
  order.warnings = {"first", "zweite, größer"};
  order.decode_in_steps = 2.5;
  link_->SendFormed(6, 0xE3069283);
  link_->SendAnswer(order, absl::InvalidArgumentError("no"), 0);
  link_->SendAnswer(order, ToStatus({.kind = FailureKind::kOutOfMemory, .message = "no room"}), 0);
  link_->SendDone({.epoch = 6,
                   .job_sequence = 2,
                   .status = absl::CancelledError("c"),
                   .seconds = {.denoise = 1.5}});
  link_->Flush();
  const auto done =
      frontend_.Wait(0, [](const RankMessage& m) { return m.has_job_done(); }, seconds(5));
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->job_done().code(), 1);
  EXPECT_EQ(done->job_done().denoise_seconds(), 1.5);
  const auto seen = frontend_.Seen(0);
  ASSERT_EQ(seen.size(), 3);
  EXPECT_EQ(seen[0].formed().epoch(), 6);
  EXPECT_EQ(seen[0].formed().weights_crc32c(), 0xE3069283);
  EXPECT_EQ(seen[1].job_answer().code(), 3);
  ASSERT_EQ(seen[1].job_answer().warnings_size(), 2);
  EXPECT_EQ(seen[1].job_answer().warnings(1), "zweite, größer");
  EXPECT_EQ(seen[1].job_answer().decode_in_steps(), 2.5);
  EXPECT_EQ(seen[1].job_answer().message(), "no");
  EXPECT_EQ(seen[1].job_answer().reason(), "");
  EXPECT_EQ(seen[2].job_answer().code(), 8);
  EXPECT_EQ(seen[2].job_answer().reason(), "OUT_OF_MEMORY");
}

TEST_F(ControlStreamTest, DialingHasALimit) {
  const auto begin = std::chrono::steady_clock::now();
  const auto connected = ControlStream::Connect(OptionsFor("127.0.0.1:1"), mailbox_);
  EXPECT_TRUE(absl::IsUnavailable(connected.status()));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
  EXPECT_EQ(connected.status().message(),
            "frontend 127.0.0.1:1 is not reachable within 0 s: connection refused; is "
            "cogwheel-server running there?");
}

TEST_F(ControlStreamTest, DialingSaysOnceThatItWaitsAndWhy) {
  std::vector<std::string> told;
  bool connected = false;
  ControlStream::Options options = OptionsFor("127.0.0.1:1");
  options.dial_limit = seconds(1);
  options.on_waiting = [&told](const std::string& why) { told.push_back(why); };
  options.on_connected = [&connected] { connected = true; };
  EXPECT_FALSE(ControlStream::Connect(options, mailbox_).ok());
  EXPECT_EQ(told,
            std::vector<std::string>{"connection refused; is cogwheel-server running there?"});
  EXPECT_FALSE(connected);
  options.frontend = frontend_.address();
  EXPECT_TRUE(ControlStream::Connect(options, mailbox_).ok());
  EXPECT_TRUE(connected);
  EXPECT_EQ(told.size(), 1);
}

// A whole small result in latent form through the result stream.
TEST_F(ControlStreamTest, ResultsAreChunkedAndDigested) {
  Connect();
  JobSpec spec{.epoch = 6, .job_sequence = 2, .output = OutputKind::kLatent};
  const auto output = link_->OpenOutput(spec);
  const std::vector<float> values(300'000, 0.5f);
  output->OnProgress(Stage::kDenoise, 1, 2);
  output->OnLatents(values, 3, 100, 100, 10);
  const auto summary = output->Finish();
  ASSERT_TRUE(summary.ok()) << summary.status();
  const std::string file = DoneWithResult(2, *summary);
  EXPECT_NE(file.find("\"latents\""), std::string::npos);
}

// More than the connection and the queue hold. DEADLINE_EXCEEDED would be the job's own deadline.
TEST_F(ControlStreamTest, AResultThatIsNotTakenFailsAsSuch) {
  send_limit_ = milliseconds(200);
  Connect();
  frontend_.StopReading();
  const auto output = link_->OpenOutput({.epoch = 6, .output = OutputKind::kLatent});
  output->OnLatents(std::vector<float>(12 << 20), 3, 4, 1024, 1024);
  const auto summary = output->Finish();
  EXPECT_EQ(summary.status().code(), absl::StatusCode::kResourceExhausted) << summary.status();
  EXPECT_EQ(ErrorReason(summary.status()), "RESULT_NOT_TAKEN");
}

// The group is free again, whoever does not read.
TEST_F(ControlStreamTest, AResultThatIsGivenUpHoldsNobodyUp) {
  Connect();
  frontend_.StopReading();
  auto output = link_->OpenOutput({.epoch = 6, .output = OutputKind::kLatent});
  output->OnLatents(std::vector<float>(12 << 20), 3, 4, 1024, 1024);
  const auto begin = std::chrono::steady_clock::now();
  output.reset();  // within a send that may wait 30 s
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
}

// Of a job that ends without its result nothing more is sent; the next one's is whole.
TEST_F(ControlStreamTest, AnUnfinishedResultIsLeftCleanly) {
  Connect();
  const std::pair<int64_t, OutputKind> rows[] = {{1, OutputKind::kVideo}, {2, OutputKind::kFrames}};
  for (const auto& [sequence, kind] : rows) {
    const auto left =
        link_->OpenOutput({.epoch = 6, .job_sequence = sequence, .fps = 8, .output = kind});
    left->OnFrames(std::vector<uint8_t>(2 * 16 * 16 * 3), 2, 16, 16);
  }
  const auto next =
      link_->OpenOutput({.epoch = 6, .job_sequence = 3, .output = OutputKind::kLatent});
  next->OnLatents(std::vector<float>(1000, 0.25f), 1, 10, 10, 10);
  const auto summary = next->Finish();
  ASSERT_TRUE(summary.ok()) << summary.status();
  DoneWithResult(3, *summary);
  bool last_begun = false;
  for (const RankMessage& message : frontend_.Seen(0)) {
    if (!message.has_result_chunk()) continue;
    const int64_t sequence = message.result_chunk().job_sequence();
    last_begun = last_begun || sequence == 3;
    EXPECT_NE(sequence, 2) << "less than a chunk, which only the end sends";
    EXPECT_TRUE(sequence == 3 || !last_begun) << "late, of a job left behind";
  }
}

}  // namespace
}  // namespace cogwheel
