#include "server/events/event_log.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using Found = EventLog::Found;
constexpr char kJob[] = "jobs/1";

v1::JobEvent Step(int step) {
  v1::JobEvent event;
  event.mutable_progress()->set_step(step);
  return event;
}

v1::JobEvent Done() {
  v1::JobEvent event;
  event.mutable_succeeded();
  return event;
}

class CountingWatcher final : public EventWatcher {
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

TEST(EventLog, SequencesRiseAndANewAttemptBeginsItsOwnRange) {
  EventLog log;
  EXPECT_EQ(1, log.Append(kJob, 0, Step(0)));
  EXPECT_EQ(2, log.Append(kJob, 0, Step(0)));
  EXPECT_EQ(int64_t{1} << 32, log.PeekSequence(kJob, 1));
  EXPECT_EQ(int64_t{1} << 32, log.Append(kJob, 1, Step(1)));
  EXPECT_EQ((int64_t{1} << 32) + 1, log.Append(kJob, 1, Step(2)));
  EXPECT_EQ(int64_t{2} << 32, log.Append(kJob, 2, Step(1)));
}

TEST(EventLog, AWatcherResumesAfterAnySequence) {
  EventLog log;
  log.Append(kJob, 0, Step(1));
  log.Append(kJob, 0, Step(2));
  log.Append(kJob, 0, Done());
  EventLog::Next next = log.ReadAfter(kJob, 1, /*include_video=*/false);
  EXPECT_EQ(Found::kEvent, next.found);
  EXPECT_EQ(2, next.event->progress().step());
  EXPECT_EQ(kJob, next.event->job());
  next = log.ReadAfter(kJob, 2, /*include_video=*/false);
  EXPECT_TRUE(next.event->has_succeeded());
  EXPECT_EQ(Found::kEnd, log.ReadAfter(kJob, 3, /*include_video=*/false).found);
}

TEST(EventLog, NothingYetIsNotTheEnd) {
  EventLog log;
  EXPECT_EQ(Found::kUnknown, log.ReadAfter(kJob, 0, /*include_video=*/false).found);
  log.Open(kJob);
  EXPECT_EQ(Found::kNothing, log.ReadAfter(kJob, 0, /*include_video=*/false).found);
}

TEST(EventLog, ARingThatDroppedEventsShowsAGap) {
  EventLog log({.events = 3, .bytes = 1 << 20, .finished_jobs = 8});
  for (int i = 1; i <= 5; ++i) log.Append(kJob, 0, Step(i));
  EventLog::Next next = log.ReadAfter(kJob, 0, /*include_video=*/false);
  EXPECT_EQ(Found::kGap, next.found);
  EXPECT_EQ(2, next.sequence);
  next = log.ReadAfter(kJob, next.sequence, /*include_video=*/false);
  EXPECT_EQ(Found::kEvent, next.found);
  EXPECT_EQ(3, next.event->progress().step());
}

TEST(EventLog, BytesAreBoundedToo) {
  EventLog log({.events = 1000, .bytes = 4096, .finished_jobs = 8});
  for (int i = 0; i < 10; ++i) {
    v1::JobEvent preview;
    preview.mutable_preview()->set_jpeg(std::string(1000, 'j'));
    log.Append(kJob, 0, std::move(preview));
  }
  EXPECT_EQ(Found::kGap, log.ReadAfter(kJob, 5, /*include_video=*/false).found);
  EXPECT_EQ(Found::kEvent, log.ReadAfter(kJob, 7, /*include_video=*/false).found);
}

TEST(EventLog, ChunksAreForThoseWhoAskAndAreReadFromTheResult) {
  EventLog log;
  v1::JobEvent chunk;
  chunk.mutable_chunk()->set_offset(2);
  log.AppendChunk(kJob, 1, std::move(chunk), /*bytes=*/3, std::make_shared<TextReader>());
  log.Append(kJob, 1, Step(9));
  EXPECT_TRUE(log.ReadAfter(kJob, 0, /*include_video=*/false).event->has_progress());
  const EventLog::Next next = log.ReadAfter(kJob, 0, /*include_video=*/true);
  ASSERT_TRUE(next.event->has_chunk());
  EXPECT_EQ("cde", next.data->Read(next.event->chunk().offset(), next.chunk_bytes).value());
}

TEST(EventLog, WhoDoesNotAskForChunksMissesNothingWhenTheyAreDropped) {
  EventLog log({.events = 3, .bytes = 1 << 20, .finished_jobs = 8});
  const int64_t after = log.Append(kJob, 1, Step(1));
  for (int i = 0; i < 10; ++i) {
    v1::JobEvent chunk;
    chunk.mutable_chunk()->set_offset(i);
    log.AppendChunk(kJob, 1, std::move(chunk), /*bytes=*/1, std::make_shared<TextReader>());
    EXPECT_EQ(Found::kNothing, log.ReadAfter(kJob, after, /*include_video=*/false).found);
  }
  log.Append(kJob, 1, Step(2));
  EXPECT_EQ(2, log.ReadAfter(kJob, after, /*include_video=*/false).event->progress().step());
}

TEST(EventLog, SaysHowFarAJobIs) {
  EventLog log({.events = 1});
  v1::Job job;
  job.set_name("jobs/1");
  job.set_state(v1::QUEUED);
  log.Describe(job);  // not known
  log.Open("jobs/1");
  log.Describe(job);
  EXPECT_EQ(0, job.queue_position());
  v1::JobEvent queued, progress;
  queued.mutable_queued()->set_position(3);
  log.Append("jobs/1", 0, queued);
  log.Describe(job);
  EXPECT_EQ(3, job.queue_position());
  job.clear_queue_position();
  job.set_state(v1::RUNNING);
  job.set_attempt(1);
  log.Describe(job);
  EXPECT_FALSE(job.has_progress());
  progress.mutable_progress()->set_step(4);
  log.Append("jobs/1", 1, progress);
  log.Append("jobs/1", 1, v1::JobEvent());  // however short the ring is
  log.Describe(job);
  EXPECT_EQ(4, job.progress().step());
  EXPECT_EQ(0, job.queue_position());
  job.clear_progress();
  job.set_attempt(2);  // what the attempt before had come to is no news
  log.Describe(job);
  EXPECT_FALSE(job.has_progress());
  job.set_attempt(1);
  job.set_state(v1::SUCCEEDED);
  log.Describe(job);
  EXPECT_FALSE(job.has_progress());
}

TEST(EventLog, WatchersAreWoken) {
  EventLog log;
  const auto watcher = std::make_shared<CountingWatcher>();
  log.Open(kJob);
  log.Watch(kJob, watcher);
  log.Append(kJob, 0, Step(1));
  EXPECT_EQ(1, watcher->count);
  log.Append("jobs/2", 0, Step(1));
  EXPECT_EQ(1, watcher->count);
  log.Unwatch(kJob, watcher.get());
  log.Append(kJob, 0, Step(2));
  EXPECT_EQ(1, watcher->count);
  log.Watch(kJob, watcher);
  log.Forget(kJob);
  EXPECT_EQ(2, watcher->count);
  EXPECT_EQ(Found::kUnknown, log.ReadAfter(kJob, 0, /*include_video=*/false).found);
}

// Between the commit of a job and its first event.
TEST(EventLog, AJobMayBeWatchedBeforeItsLineBegins) {
  EventLog log;
  const auto watcher = std::make_shared<CountingWatcher>();
  log.Watch(kJob, watcher);
  log.Open(kJob);
  log.Append(kJob, 0, Step(1));
  EXPECT_EQ(1, watcher->count);
  log.Unwatch(kJob, watcher.get());
  log.Append(kJob, 0, Step(2));
  EXPECT_EQ(1, watcher->count);
  EXPECT_EQ(1, watcher.use_count());
}

TEST(EventLog, OfTwoKindsTheOldestGoesFirst) {
  EventLog log({.events = 1000, .bytes = 4000, .finished_jobs = 8});
  for (int i = 1; i <= 8; ++i) {  // odd numbers are chunks
    v1::JobEvent event;
    if (i % 2 == 1) {
      event.mutable_chunk()->set_media_type(std::string(1000, 'm'));
      log.AppendChunk(kJob, 0, std::move(event), /*bytes=*/1, std::make_shared<TextReader>());
    } else {
      event.mutable_preview()->set_jpeg(std::string(1000, 'j'));
      log.Append(kJob, 0, std::move(event));
    }
  }
  EXPECT_EQ(5, log.ReadAfter(kJob, 0, /*include_video=*/true).sequence);  // three are held
  EXPECT_EQ(6, log.ReadAfter(kJob, 5, /*include_video=*/true).sequence);
  EXPECT_EQ(4, log.ReadAfter(kJob, 0, /*include_video=*/false).sequence);
  EXPECT_EQ(6, log.ReadAfter(kJob, 4, /*include_video=*/false).sequence);
  EXPECT_EQ(7, log.ReadAfter(kJob, 6, /*include_video=*/true).sequence);
}

TEST(EventLog, NothingFollowsTheEndAndOldJobsAreForgotten) {
  EventLog log({.events = 8, .bytes = 1 << 20, .finished_jobs = 1});
  log.Append(kJob, 0, Done());
  EXPECT_EQ(1, log.Append(kJob, 0, Step(1)));
  EXPECT_EQ(Found::kEnd, log.ReadAfter(kJob, 1, /*include_video=*/false).found);
  log.Append("jobs/2", 0, Done());
  EXPECT_EQ(Found::kUnknown, log.ReadAfter(kJob, 0, /*include_video=*/false).found);
  EXPECT_EQ(Found::kEvent, log.ReadAfter("jobs/2", 0, /*include_video=*/false).found);
}

}  // namespace
}  // namespace cogwheel
