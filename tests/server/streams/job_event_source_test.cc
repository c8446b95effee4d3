#include "server/streams/job_event_source.h"

#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/memory_job_store.h"

namespace cogwheel {
namespace {

constexpr char kName[] = "jobs/1";

class CountingWaker final : public EventWatcher {
 public:
  void OnEvents() override { ++count; }
  int count = 0;
};

class TextReader final : public ResultReader {
 public:
  absl::StatusOr<std::string> Read(int64_t offset, int64_t max_bytes) const override {
    return std::string("abcdef").substr(offset, max_bytes);
  }
};

v1::JobEvent Step(int step) {
  v1::JobEvent event;
  event.mutable_progress()->set_step(step);
  return event;
}

class JobEventSourceTest : public testing::Test {
 protected:
  Job Create(bool held = false) {
    NewJob job;
    job.job.name = kName;
    job.job.tenant = "t";
    job.job.held = held;
    return Await<absl::StatusOr<CreatedJob>>(
               [&](Answer<CreatedJob> done) { store_.Create(job, std::move(done)); })
        ->job;
  }
  void Finish() {
    store_.ClaimNext({"g", 1, {}, {kName}}, [](const absl::StatusOr<Job>&) {});
    FinishedJob finished;
    finished.name = kName;
    finished.epoch = 1;
    finished.attempt = 1;
    finished.state = JobState::kFailed;
    finished.error = {absl::StatusCode::kInternal, "BROKEN", "it broke"};
    finished.last_sequence = (int64_t{1} << 32) + 7;
    store_.Finish(finished, [](const absl::StatusOr<Job>&) {});
  }
  std::unique_ptr<JobEventSource> Source(const JobEventSource::Options& options = {}) {
    return std::make_unique<JobEventSource>(
        JobEventSource::Parts{store_, log_, holders_}, options,
        [this](const Answer<Job>& done) { done(store_.Get("t", kName)); });
  }
  // The next message; none when there is nothing now.
  std::optional<v1::JobEvent> Next(JobEventSource& source) {
    MessageSource::Pulled pulled = source.Pull(waker_);
    EXPECT_FALSE(pulled.end.has_value()) << *pulled.end;
    if (!pulled.message.has_value()) return std::nullopt;
    v1::JobEvent event;
    EXPECT_TRUE(event.ParseFromString(*pulled.message));
    return event;
  }

  FakeClock clock_;
  MemoryJobStore store_;
  EventLog log_{{.events = 4, .bytes = 1 << 20, .finished_jobs = 8}};
  Holders holders_{clock_, std::chrono::seconds(15)};
  const std::shared_ptr<CountingWaker> waker_ = std::make_shared<CountingWaker>();
};

// Stored, and not yet on the log: this ended in UNAVAILABLE once.
TEST_F(JobEventSourceTest, AJobSoNewThatNothingIsToldOfItIsWaitedFor) {
  Create();
  const auto source = Source();
  EXPECT_FALSE(Next(*source).has_value());
  const int woken = waker_->count;
  log_.Append(kName, 0, Step(1));
  EXPECT_EQ(woken + 1, waker_->count);
  EXPECT_EQ(1, Next(*source)->progress().step());
}

TEST_F(JobEventSourceTest, AGapIsASnapshotAndThenWhatIsHeld) {
  Create();
  for (int i = 1; i <= 6; ++i) log_.Append(kName, 0, Step(i));
  const auto source = Source();
  const std::optional<v1::JobEvent> snapshot = Next(*source);
  ASSERT_TRUE(snapshot->has_snapshot());
  EXPECT_EQ(2, snapshot->sequence());
  EXPECT_EQ(kName, snapshot->snapshot().name());
  for (int i = 3; i <= 6; ++i) EXPECT_EQ(i, Next(*source)->progress().step());
  EXPECT_FALSE(Next(*source).has_value());
}

TEST_F(JobEventSourceTest, ChunksComeWithTheirBytesToWhoAsks) {
  Create();
  v1::JobEvent chunk;
  chunk.mutable_chunk()->set_offset(2);
  log_.AppendChunk(kName, 1, std::move(chunk), /*bytes=*/3, std::make_shared<TextReader>());
  const auto plain = Source(), video = Source({.include_video = true});
  EXPECT_FALSE(Next(*plain).has_value());
  EXPECT_EQ("cde", Next(*video)->chunk().data());
}

TEST_F(JobEventSourceTest, ChunksOfAnAttemptWhoseBytesAreGoneAreLeftOut) {
  Create();
  v1::JobEvent chunk;
  chunk.mutable_chunk()->set_offset(4);
  log_.AppendChunk(kName, 1, std::move(chunk), /*bytes=*/3, std::make_shared<TextReader>());
  log_.Append(kName, 2, Step(1));
  const auto video = Source({.include_video = true});
  EXPECT_EQ(1, Next(*video)->progress().step());
  EXPECT_FALSE(Next(*video).has_value());
}

TEST_F(JobEventSourceTest, AForgottenJobIsASnapshotAndItsEnd) {
  Create();
  Finish();
  const auto source = Source({.end_with_job = true});
  EXPECT_TRUE(Next(*source)->has_snapshot());
  EXPECT_EQ("BROKEN", Next(*source)->failed().error().reason());
  const MessageSource::Pulled end = source->Pull(waker_);
  ASSERT_TRUE(end.end.has_value());
  EXPECT_TRUE(absl::IsInternal(*end.end)) << *end.end;
  EXPECT_EQ(absl::OkStatus(), *Source({.after = (int64_t{1} << 32) + 7})->Pull(waker_).end);
}

TEST_F(JobEventSourceTest, AnUnknownOrDeletedJobIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(*Source()->Pull(waker_).end));
  Create();
  const auto source = Source();
  EXPECT_FALSE(Next(*source).has_value());
  Finish();
  store_.Delete("t", kName, [](const absl::StatusOr<Removed>&) {});
  EXPECT_TRUE(absl::IsNotFound(*source->Pull(waker_).end));
}

TEST_F(JobEventSourceTest, TheAnswerMayComeLateOrTooLate) {
  const Job job = Create(/*held=*/true);
  Answer<Job> answer;
  JobEventSource late({store_, log_, holders_}, {.hold = true},
                      [&answer](Answer<Job> done) { answer = std::move(done); });
  EXPECT_FALSE(Next(late).has_value());
  EXPECT_FALSE(Next(late).has_value());  // asked once
  log_.Append(kName, 0, Step(1));
  answer(job);
  EXPECT_EQ(1, waker_->count);
  EXPECT_EQ(1, Next(late)->progress().step());
  {
    JobEventSource over({store_, log_, holders_}, {.hold = true},
                        [&answer](Answer<Job> done) { answer = std::move(done); });
    EXPECT_FALSE(Next(over).has_value());
    over.OnOver(*waker_, StreamEnd::kCallerLeft);
  }
  answer(job);  // to nobody
}

TEST_F(JobEventSourceTest, AHeldJobIsHeldByWhoAsksToUntilItIsOver) {
  Create(/*held=*/true);
  const auto watching = Source(), holding = Source({.hold = true});
  Next(*watching);
  EXPECT_EQ(0, holders_.size());
  Next(*holding);
  EXPECT_EQ(1, holders_.size());
  watching->OnOver(*waker_, StreamEnd::kCallerLeft);
  holding->OnOver(*waker_, StreamEnd::kServer);
  EXPECT_EQ(0, holders_.size());
  const int woken = waker_->count;
  log_.Append(kName, 0, Step(1));
  EXPECT_EQ(woken, waker_->count);  // nobody watches any more
}

TEST_F(JobEventSourceTest, AJobMadeWithoutHoldIsNeverHeld) {
  Create();
  const auto source = Source({.hold = true});
  Next(*source);
  source->OnOver(*waker_, StreamEnd::kCallerLeft);
  EXPECT_EQ(0, holders_.size());
}

}  // namespace
}  // namespace cogwheel
