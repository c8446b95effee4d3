#include "server/dispatch/janitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "tests/support/blocking_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_job_store.h"
#include "tests/support/memory_job_store.h"
#include "tests/support/memory_results.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class JanitorTest : public testing::Test {
 protected:
  // With the result "abc".
  void Finished(const std::string& name) {
    NewJob job;
    job.job.name = name;
    job.job.tenant = "default";
    ASSERT_TRUE(waited_.Create(job).ok());
    const Job running = waited_.Claim(name, "g", 1, {}).value();
    FinishedJob finished;
    finished.name = name;
    finished.epoch = running.epoch;
    finished.attempt = running.attempt;
    finished.state = JobState::kSucceeded;
    finished.end_time = clock_.Wall();
    finished.result = Artefact{3, Sha256Hex("abc"), "video/mp4"};
    ASSERT_TRUE(waited_.Finish(finished).ok());
    results_.results[finished.result->sha256] = "abc";
    events_.Open(name);
  }
  std::string Delete(const std::string& name) {
    return ErrorReason(
        Await<absl::Status>([&](Done done) { janitor_.Delete("default", name, std::move(done)); }));
  }

  FakeClock clock_;
  MemoryJobStore store_;
  FaultyJobStore faulty_{store_};
  BlockingStore waited_{store_};
  MemoryResults results_;
  EventLog events_;
  IoPool pool_{{.threads = 1, .in_order = true}};
  Janitor janitor_{{faulty_, results_, events_, pool_, clock_, {.jobs = {2}}}};
};

TEST_F(JanitorTest, DeletesOnlyWhatHasEndedWithItsEventsAndItsResult) {
  NewJob job;
  job.job.name = "jobs/1";
  job.job.tenant = "default";
  ASSERT_TRUE(waited_.Create(job).ok());
  EXPECT_EQ("NOT_FINISHED", Delete("jobs/1"));
  EXPECT_EQ("UNKNOWN_JOB", Delete("jobs/3"));
  Finished("jobs/2");
  EXPECT_EQ("", Delete("jobs/2"));
  EXPECT_TRUE(absl::IsNotFound(store_.Get("default", "jobs/2").status()));
  EXPECT_EQ(EventLog::Found::kUnknown, events_.ReadAfter("jobs/2", 0, true).found);
  // The line of the pool is done with what came before.
  Await<absl::Status>([this](Done done) {
    pool_.Post("janitor", [done = std::move(done)] { done(absl::OkStatus()); });
  }).IgnoreError();
  EXPECT_THAT(results_.results, testing::IsEmpty());
}

TEST_F(JanitorTest, TrimsSoonAfterAnEndAndEveryMinute) {
  int trims = 0;
  faulty_.fault = [&trims](const std::string& method) {
    if (method == "Trim") ++trims;
    return absl::OkStatus();
  };
  const auto pass = [this](milliseconds time) {
    clock_.Advance(time);
    janitor_.Tick();
  };
  janitor_.Tick();
  const int before = trims;
  pass(seconds(59));
  EXPECT_EQ(before, trims);
  pass(seconds(1));
  EXPECT_EQ(before + 1, trims);
  janitor_.OnEnded();
  pass(milliseconds(500));
  EXPECT_EQ(before + 1, trims) << "once a second at most";
  pass(milliseconds(500));
  EXPECT_EQ(before + 2, trims);
  pass(seconds(1));
  EXPECT_EQ(before + 2, trims);
}

// However long the store takes: trims do not pile up.
TEST_F(JanitorTest, TrimsAgainOnceTheStoreHasAnswered) {
  faulty_.holds_trims = true;
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(seconds(60));
    janitor_.Tick();
  }
  ASSERT_EQ(1, faulty_.held.size());
  faulty_.AnswerHeld();
  clock_.Advance(seconds(60));
  janitor_.Tick();
  EXPECT_EQ(1, faulty_.held.size());
}

TEST_F(JanitorTest, KeepsTheNewestJobs) {
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3"}) Finished(name);
  janitor_.OnEnded();
  clock_.Advance(seconds(1));
  janitor_.Tick();
  EXPECT_TRUE(absl::IsNotFound(store_.Get("default", "jobs/1").status()));
  EXPECT_TRUE(store_.Get("default", "jobs/2").ok());
}

}  // namespace
}  // namespace cogwheel
