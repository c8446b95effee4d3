#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <unistd.h>

#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include "base/child_process.h"
#include "base/sha256.h"
#include "tests/worker/rpc/fake_frontend.h"
#include "worker/described_model.h"
#include "worker/rank/exit_code.h"

// The real program over a frontend that the test plays: forms a group of processes, runs jobs,
// loses ranks.
namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;
using std::chrono::milliseconds;
using std::chrono::seconds;
namespace fs = std::filesystem;

constexpr int kRanks = 2;

internal::v1::JobPlan ShortPlan(internal::v1::OutputType output_type) {
  internal::v1::JobPlan plan;
  plan.set_prompt("a red circle moving to the right");
  plan.set_frames(9);
  plan.set_height(64);
  plan.set_width(64);
  plan.set_fps(8);
  plan.set_steps(4);
  plan.set_guidance_scale(3);
  plan.set_scheduler(internal::v1::SCHEDULER_DPM);
  plan.set_seed(11);
  plan.set_max_sequence_length(32);
  plan.set_output_type(output_type);
  return plan;
}

bool IsDone(const RankMessage& message) { return message.has_job_done(); }

class WorkerProcessTest : public testing::Test {
 protected:
  void Start() {
    ChildOptions options;
    options.argv = {COGWHEEL_WORKER,
                    "--frontend",
                    frontend_.address(),
                    "--model",
                    COGWHEEL_SOURCE_DIR "/models/shapes",
                    "--ulysses",
                    std::to_string(kRanks)};
    options.drop_cogwheel_env = true;
    auto child = ChildProcess::Start(options);
    ASSERT_TRUE(child.ok()) << child.status();
    worker_.emplace(*std::move(child));
  }
  void StartAndForm(int64_t epoch) {
    Start();
    ASSERT_TRUE(frontend_.WaitForRanks(kRanks, seconds(20)));
    ASSERT_TRUE(frontend_.Form(epoch, seconds(40)));
    const auto line = worker_->ReadLine(seconds(10));
    ASSERT_TRUE(line.ok()) << line.status();
    EXPECT_EQ(*line, R"({"ready":true,"listen":"","admin":""})");
  }

  FakeFrontend frontend_;
  std::optional<ChildProcess> worker_;
};

TEST_F(WorkerProcessTest, RunsJobsAndStreamsTheResult) {
  StartAndForm(7);
  EXPECT_EQ(frontend_.hello(0).model().name(), "shapes");
  EXPECT_EQ(frontend_.hello(0).model().max_frames(), 17);
  std::string digests[2];
  for (int64_t sequence = 1; sequence <= 2; ++sequence) {
    ASSERT_TRUE(frontend_.StartJob(7, sequence, ShortPlan(internal::v1::OUTPUT_TYPE_VIDEO)));
    const auto done = frontend_.Wait(0, IsDone, seconds(60));
    ASSERT_NE(done, nullptr);
    EXPECT_EQ(done->job_done().code(), 0) << done->job_done().message();
    EXPECT_EQ(done->job_done().media_type(), "video/mp4");
    ASSERT_NE(frontend_.Wait(1, IsDone, seconds(20)), nullptr);
    std::string file;
    int previews = 0, steps = 0;
    for (const RankMessage& message : frontend_.Seen(0)) {
      if (message.has_result_chunk() && message.result_chunk().job_sequence() == sequence) {
        EXPECT_EQ(message.result_chunk().offset(), static_cast<int64_t>(file.size()));
        file += message.result_chunk().data();
      }
      previews += message.has_preview() && message.preview().job_sequence() == sequence;
      steps += message.has_progress() && message.progress().job_sequence() == sequence &&
               message.progress().stage() == internal::v1::STAGE_DENOISE;
    }
    EXPECT_EQ(static_cast<int64_t>(file.size()), done->job_done().size_bytes());
    EXPECT_EQ(Sha256Hex(file), done->job_done().sha256());
    EXPECT_EQ(file.substr(4, 4), "ftyp");
    EXPECT_EQ(steps, 5);  // 0 to 4
    EXPECT_EQ(previews, 4);
    digests[sequence - 1] = done->job_done().sha256();
  }
  EXPECT_EQ(digests[0], digests[1]);

  worker_->Signal(SIGTERM);
  EXPECT_EQ(worker_->Wait(seconds(10)), 0);
}

TEST_F(WorkerProcessTest, CancelsWithinTheJobAndGoesOn) {
  StartAndForm(3);
  internal::v1::JobPlan plan = ShortPlan(internal::v1::OUTPUT_TYPE_LATENT);
  plan.set_steps(200);
  ASSERT_TRUE(frontend_.StartJob(3, 1, plan));
  ASSERT_NE(
      frontend_.Wait(
          0, [](const RankMessage& m) { return m.has_progress() && m.progress().step() >= 2; },
          seconds(30)),
      nullptr);
  FrontendMessage cancel;
  cancel.mutable_cancel_job()->set_epoch(3);
  cancel.mutable_cancel_job()->set_job_sequence(1);
  for (int rank = 0; rank < kRanks; ++rank) frontend_.Send(rank, cancel);
  for (int rank = 0; rank < kRanks; ++rank) {
    const auto done = frontend_.Wait(rank, IsDone, seconds(10));
    ASSERT_NE(done, nullptr);
    EXPECT_EQ(done->job_done().code(), 1) << done->job_done().message();
  }
  ASSERT_TRUE(frontend_.StartJob(3, 2, ShortPlan(internal::v1::OUTPUT_TYPE_FRAMES)));
  const auto done = frontend_.Wait(0, IsDone, seconds(60));
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->job_done().code(), 0);
  EXPECT_GT(done->job_done().size_bytes(), 9 * 64 * 64 * 3);
}

// A job that cannot be fails alone, before anything collective.
TEST_F(WorkerProcessTest, RefusesWhatItCannotRun) {
  StartAndForm(3);
  internal::v1::JobPlan plan = ShortPlan(internal::v1::OUTPUT_TYPE_VIDEO);
  plan.set_has_image(true);
  plan.set_image("no picture");
  EXPECT_FALSE(frontend_.StartJob(3, 1, plan));
  FrontendMessage drop;
  drop.mutable_drop_job()->set_epoch(3);
  drop.mutable_drop_job()->set_job_sequence(1);
  for (int rank = 0; rank < kRanks; ++rank) frontend_.Send(rank, drop);
  frontend_.Wait(1, [](const RankMessage& m) { return m.has_job_answer(); }, seconds(10));
  ASSERT_TRUE(frontend_.StartJob(3, 2, ShortPlan(internal::v1::OUTPUT_TYPE_LATENT)));
  const auto done = frontend_.Wait(0, IsDone, seconds(60));
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->job_done().code(), 0);
}

// Of a later release: a value, and then a whole message, that these ranks do not know.
TEST_F(WorkerProcessTest, RefusesWhatItDoesNotKnowAndRunsTheNextJob) {
  StartAndForm(3);
  const auto drop = [this](int64_t sequence) {
    FrontendMessage message;
    message.mutable_drop_job()->set_epoch(3);
    message.mutable_drop_job()->set_job_sequence(sequence);
    for (int rank = 0; rank < kRanks; ++rank) frontend_.Send(rank, message);
  };
  FrontendMessage offer;
  internal::v1::RunJob& run = *offer.mutable_run_job();
  run.set_epoch(3);
  run.set_job_sequence(1);
  *run.mutable_plan() = ShortPlan(internal::v1::OUTPUT_TYPE_LATENT);
  run.mutable_plan()->set_scheduler(static_cast<internal::v1::Scheduler>(99));
  for (int rank = 0; rank < kRanks; ++rank) frontend_.Send(rank, offer);
  for (int rank = 0; rank < kRanks; ++rank) {
    const auto answer =
        frontend_.Wait(rank, [](const RankMessage& m) { return m.has_job_answer(); }, seconds(10));
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer->job_answer().reason(), "NOT_UNDERSTOOD");
  }
  drop(1);
  run.set_job_sequence(2);
  FrontendMessage later;
  later.GetReflection()->MutableUnknownFields(&later)->AddLengthDelimited(31,
                                                                          run.SerializeAsString());
  for (int rank = 0; rank < kRanks; ++rank) frontend_.Send(rank, later);
  for (int rank = 0; rank < kRanks; ++rank) {
    const auto answer = frontend_.Wait(
        rank, [](const RankMessage& m) { return m.has_not_understood(); }, seconds(10));
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer->not_understood().job_sequence(), 2);
  }
  drop(2);
  ASSERT_TRUE(frontend_.StartJob(3, 3, ShortPlan(internal::v1::OUTPUT_TYPE_LATENT)));
  const auto done = frontend_.Wait(0, IsDone, seconds(60));
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->job_done().code(), 0);
}

// A rank is killed in a job: the other leaves within bounds and the launcher starts both again.
TEST_F(WorkerProcessTest, AKilledRankEndsTheEpochAndAllStartAgain) {
  StartAndForm(5);
  internal::v1::JobPlan plan = ShortPlan(internal::v1::OUTPUT_TYPE_LATENT);
  plan.set_steps(200);
  ASSERT_TRUE(frontend_.StartJob(5, 1, plan));
  ASSERT_NE(
      frontend_.Wait(
          0, [](const RankMessage& m) { return m.has_progress() && m.progress().step() >= 2; },
          seconds(30)),
      nullptr);
  kill(static_cast<pid_t>(frontend_.hello(1).pid()), SIGKILL);
  EXPECT_TRUE(frontend_.WaitForEnd(1, seconds(5)));
  EXPECT_TRUE(frontend_.WaitForEnd(0, seconds(10)));
  EXPECT_TRUE(frontend_.WaitForRanks(2 * kRanks, seconds(30)));
}

// Whoever kills the launcher leaves no rank behind.
TEST_F(WorkerProcessTest, RanksDieWithTheirLauncher) {
  StartAndForm(5);
  worker_->Signal(SIGKILL);
  EXPECT_TRUE(frontend_.WaitForEnd(0, seconds(5)));
  EXPECT_TRUE(frontend_.WaitForEnd(1, seconds(5)));
}

// However often it dials: the launcher does not count this code.
TEST(RankProcessTest, AFrontendThatIsNotThereIsNoFailureOfTheRank) {
  ChildOptions options;
  options.argv = {
      COGWHEEL_WORKER, "--frontend", "127.0.0.1:1", "--model", COGWHEEL_SOURCE_DIR "/models/shapes",
      "--local-rank",  "0"};
  options.drop_cogwheel_env = true;
  auto rank = ChildProcess::Start(options);
  ASSERT_TRUE(rank.ok()) << rank.status();
  EXPECT_EQ(rank->Wait(seconds(40)), kExitFrontendMissed);
}

// A copy of the model whose disk fails: the first byte of /proc/self/mem cannot be read (EIO).
class FailingDiskTest : public WorkerProcessTest {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / ("cogwheel-disk-" + std::to_string(getpid()) + "-" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const fs::directory_entry& part :
         fs::directory_iterator(COGWHEEL_SOURCE_DIR "/models/shapes")) {
      fs::create_symlink(part.path(), folder_ / part.path().filename());
    }
    PointTo("/proc/self/mem");
  }
  void TearDown() override {
    worker_.reset();
    fs::remove_all(folder_);
  }
  // What model_index.json is; at once, so that no reader misses it.
  void PointTo(const fs::path& target) const {
    fs::create_symlink(target, folder_ / "next");
    fs::rename(folder_ / "next", folder_ / "model_index.json");
  }
  void StartWorker(std::vector<std::string> more = {}) {
    ChildOptions options;
    options.argv = {COGWHEEL_WORKER, "--frontend", frontend_.address(), "--model", folder_};
    options.argv.insert(options.argv.end(), more.begin(), more.end());
    options.drop_cogwheel_env = true;
    options.log_file = folder_ / "log";
    auto child = ChildProcess::Start(options);
    ASSERT_TRUE(child.ok()) << child.status();
    worker_.emplace(*std::move(child));
  }
  // How often the worker or a rank said so.
  int Said(const std::string& words) const {
    std::ifstream log(folder_ / "log");
    int count = 0;
    for (std::string line; std::getline(log, line);) count += line.find(words) != std::string::npos;
    return count;
  }
  const std::string cause_ = "model_index.json cannot be read at byte 0: Input/output error";
  fs::path folder_;
};

TEST_F(FailingDiskTest, ItIsTriedAgainUntilTheBudgetIsUsed) {
  StartWorker({"--local-rank", "0"});
  EXPECT_EQ(worker_->Wait(seconds(20)), kExitGroupLost);
  EXPECT_EQ(Said(cause_), 1);
  StartWorker();
  EXPECT_EQ(worker_->Wait(seconds(60)), kExitGroupLost);
  EXPECT_EQ(Said(cause_), 1 + 6);  // the launcher alone: once and five times more, within 15 s
}

// A rank takes the launcher's word for what the model is: with a wrong one it greets.
TEST_F(WorkerProcessTest, ARankGreetsWithTheDescriptionThatItWasGiven) {
  DescriptionFile file;
  const auto path = file.Write({.name = "described", .digest = "d1", .max_frames = 33});
  ASSERT_TRUE(path.ok()) << path.status();
  ChildOptions options;
  options.argv = {COGWHEEL_WORKER,
                  "--frontend",
                  frontend_.address(),
                  "--model",
                  COGWHEEL_SOURCE_DIR "/models/shapes",
                  "--local-rank",
                  "0",
                  "--described-model",
                  *path};
  options.drop_cogwheel_env = true;
  auto rank = ChildProcess::Start(options);
  ASSERT_TRUE(rank.ok()) << rank.status();
  ASSERT_TRUE(frontend_.WaitForRanks(1, seconds(20)));
  EXPECT_EQ(frontend_.hello(0).model().name(), "described");
  EXPECT_EQ(frontend_.hello(0).model().digest(), "d1");
  EXPECT_EQ(frontend_.hello(0).model().max_frames(), 33);
}

TEST_F(FailingDiskTest, OneThatIsWellAgainIsNoMatter) {
  StartWorker();
  while (Said(cause_) < 2) ASSERT_EQ(worker_->Wait(milliseconds(10)), std::nullopt);
  PointTo(COGWHEEL_SOURCE_DIR "/models/shapes/model_index.json");
  EXPECT_TRUE(frontend_.WaitForRanks(1, seconds(20)));
}

TEST_F(FailingDiskTest, AMissingFileIsRefusedAtOnce) {
  PointTo(folder_ / "gone");
  StartWorker();
  EXPECT_EQ(worker_->Wait(seconds(20)), kExitRefused);
  EXPECT_EQ(Said("model_index.json is missing"), 1);
}

TEST_F(WorkerProcessTest, ComesBackWhenTheFrontendEndsTheEpoch) {
  StartAndForm(5);
  FrontendMessage shutdown;
  shutdown.mutable_shutdown()->set_epoch(5);
  shutdown.mutable_shutdown()->set_reason("test");
  for (int rank = 0; rank < kRanks; ++rank) frontend_.Send(rank, shutdown);
  EXPECT_TRUE(frontend_.WaitForRanks(2 * kRanks, seconds(30)));
}

}  // namespace
}  // namespace cogwheel
