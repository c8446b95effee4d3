#include "server/store/memory_job_store.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class MemoryJobStoreTest : public testing::Test {
 protected:
  absl::StatusOr<CreatedJob> Create(const std::string& name, const std::string& key = "",
                                    const std::string& hash = "",
                                    const std::string& tenant = "default") {
    NewJob job;
    job.job.name = name;
    job.job.tenant = tenant;
    job.request_id = key;
    job.request_hash = hash;
    absl::StatusOr<CreatedJob> result = absl::UnknownError("not called");
    store_.Create(std::move(job), [&result](auto created) { result = std::move(created); });
    return result;
  }
  FinishedJob Finished(const Job& job, JobState state = JobState::kSucceeded) {
    FinishedJob finished;
    finished.name = job.name;
    finished.epoch = job.epoch;
    finished.attempt = job.attempt;
    finished.state = state;
    if (state == JobState::kSucceeded) finished.result = Artefact{3, "aa", "video/mp4"};
    return finished;
  }
  Job Claim(const std::string& name) { return store_.Claim(name, "g", /*epoch=*/5, {}).value(); }
  std::vector<std::string> Names(const JobQuery& query) {
    std::vector<std::string> names;
    const JobPage page = store_.List(query).value();
    for (const Job& job : page.jobs) names.push_back(job.name);
    return names;
  }

  MemoryJobStore store_;
};

TEST_F(MemoryJobStoreTest, AKeyNamesOneJob) {
  EXPECT_FALSE(Create("jobs/1", "k", "h")->existed);
  const auto again = Create("jobs/2", "k", "h");
  EXPECT_TRUE(again->existed);
  EXPECT_EQ("jobs/1", again->job.name);
  const auto other = Create("jobs/3", "k", "other");
  EXPECT_TRUE(absl::IsAlreadyExists(other.status()));
  EXPECT_EQ("KEY_REUSED", ErrorReason(other.status()));
  EXPECT_FALSE(Create("jobs/4", "k", "other", "tenant2")->existed);
  EXPECT_EQ("jobs/1", store_.FindByRequestId("default", "k", "h").value()->name);
  EXPECT_EQ(std::nullopt, store_.FindByRequestId("default", "new", "h").value());
  EXPECT_FALSE(store_.FindByRequestId("default", "k", "x").ok());
}

TEST_F(MemoryJobStoreTest, AnotherTenantsJobIsUnknown) {
  Create("jobs/1").IgnoreError();
  EXPECT_TRUE(store_.Get("default", "jobs/1").ok());
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(store_.Get("else", "jobs/1").status()));
  EXPECT_THAT(Names({.tenant = "else", .limit = 9}), IsEmpty());
}

TEST_F(MemoryJobStoreTest, OnlyTheCurrentAttemptCounts) {
  Create("jobs/1").IgnoreError();
  const Job first = Claim("jobs/1");
  EXPECT_EQ(1, first.attempt);
  EXPECT_EQ(JobState::kRunning, first.state);
  EXPECT_TRUE(absl::IsAborted(store_.Claim("jobs/1", "g", 6, {}).status()));
  ASSERT_TRUE(store_.Requeue({"jobs/1", 5, 1}).ok());
  const Job second = store_.Claim("jobs/1", "g", 6, {}).value();
  EXPECT_EQ(2, second.attempt);
  EXPECT_EQ("FENCED", ErrorReason(store_.Finish(Finished(first)).status()));
  ASSERT_TRUE(store_.Finish(Finished(second)).ok());
  EXPECT_TRUE(absl::IsAborted(store_.Finish(Finished(second)).status()));
  EXPECT_TRUE(absl::IsAborted(store_.Finish(Finished(second, JobState::kFailed)).status()));
  EXPECT_EQ(JobState::kSucceeded, store_.Get("default", "jobs/1")->state);
}

TEST_F(MemoryJobStoreTest, AQueuedJobCanEndButNotSucceed) {
  Create("jobs/1").IgnoreError();
  const Job job = store_.Get("default", "jobs/1").value();
  EXPECT_TRUE(absl::IsAborted(store_.Finish(Finished(job)).status()));
  EXPECT_TRUE(store_.Finish(Finished(job, JobState::kCancelled)).ok());
}

TEST_F(MemoryJobStoreTest, ACancelIsAFlagAndLeavesFinishedJobsAlone) {
  Create("jobs/1").IgnoreError();
  EXPECT_TRUE(store_.RequestCancel("jobs/1")->cancel_requested);
  const Job job = Claim("jobs/1");
  EXPECT_TRUE(job.cancel_requested);
  Create("jobs/2").IgnoreError();
  store_.Finish(Finished(Claim("jobs/2"))).IgnoreError();
  EXPECT_FALSE(store_.RequestCancel("jobs/2")->cancel_requested);
}

TEST_F(MemoryJobStoreTest, ListsNewestFirstInPages) {
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3", "jobs/4"}) Create(name).IgnoreError();
  Claim("jobs/3");
  JobQuery query = {.tenant = "default", .limit = 2};
  EXPECT_THAT(Names(query), ElementsAre("jobs/4", "jobs/3"));
  EXPECT_TRUE(store_.List(query)->more);
  query.before_name = "jobs/3";
  EXPECT_THAT(Names(query), ElementsAre("jobs/2", "jobs/1"));
  EXPECT_FALSE(store_.List(query)->more);
  query = {.tenant = "default", .states = {JobState::kRunning}, .limit = 9};
  EXPECT_THAT(Names(query), ElementsAre("jobs/3"));
}

TEST_F(MemoryJobStoreTest, AnArtefactGoesWithItsLastOwner) {
  for (const char* name : {"jobs/1", "jobs/2"}) {
    Create(name).IgnoreError();
    EXPECT_EQ("NOT_FINISHED", ErrorReason(store_.Delete(name).status()));
    store_.Finish(Finished(Claim(name))).IgnoreError();
  }
  EXPECT_THAT(store_.Delete("jobs/1")->orphans, IsEmpty());
  EXPECT_EQ("aa", store_.Delete("jobs/2")->orphans.at(0).sha256);
  EXPECT_TRUE(absl::IsNotFound(store_.Delete("jobs/2").status()));
}

TEST_F(MemoryJobStoreTest, TrimsTheOldestFinishedAndTheirKeys) {
  Create("jobs/0").IgnoreError();  // queued: stays
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3"}) {
    Create(name, /*key=*/name, "h").IgnoreError();
    store_.Finish(Finished(Claim(name), JobState::kFailed)).IgnoreError();
  }
  EXPECT_THAT(store_.Trim({.finished_jobs = 1})->jobs, ElementsAre("jobs/1", "jobs/2"));
  EXPECT_THAT(Names({.tenant = "default", .limit = 9}), ElementsAre("jobs/3", "jobs/0"));
  EXPECT_FALSE(Create("jobs/4", "jobs/1", "h")->existed);
  EXPECT_THAT(store_.Trim({.finished_jobs = 1})->jobs, IsEmpty());
}

TEST_F(MemoryJobStoreTest, EpochsAreNeverGivenTwiceAndModelsKeepTheirOrder) {
  const int64_t first = store_.NextEpoch("a").value();
  EXPECT_LT(first, store_.NextEpoch("b").value());
  for (const char* name : {"first", "second", "first"}) {
    v1::Model model = TestModel(name);
    model.set_digest(store_.Models()->empty() ? "old" : "new");
    ASSERT_TRUE(store_.PutModel(model).ok());
  }
  const std::vector<v1::Model> models = store_.Models().value();
  ASSERT_EQ(2, models.size());
  EXPECT_EQ("first", models[0].name());
  EXPECT_EQ("new", models[0].digest());
}

}  // namespace
}  // namespace cogwheel
