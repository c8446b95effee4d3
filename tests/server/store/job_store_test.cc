#include "server/job/job_store.h"

#include <string>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/server/store/store_under_test.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Factory = std::unique_ptr<StoreUnderTest> (*)();

// What every store owes, by name. SqliteJobStore's own duties are in sqlite_job_store_test.cc.
class JobStoreTest : public testing::TestWithParam<Factory> {
 protected:
  void SetUp() override { under_test_->AddResult({3, "aa", "video/mp4"}); }
  absl::StatusOr<CreatedJob> Create(const std::string& name, const std::string& key = "",
                                    const std::string& hash = "",
                                    const std::string& tenant = "default") {
    NewJob job;
    job.job.name = name;
    job.job.tenant = tenant;
    job.request_id = key;
    job.request_hash = hash;
    return CreateAndWait(store(), std::move(job));
  }
  BlockingStore store() { return under_test_->store(); }
  Job Claim(const std::string& name) { return store().Claim(name, "g", /*epoch=*/5, {}).value(); }
  void Succeed(const std::string& name, const Artefact& result = {3, "aa", "video/mp4"},
               Job::WallTime end_time = {}) {
    under_test_->AddResult(result);
    FinishedJob finished = EndOf(Claim(name), JobState::kSucceeded, result);
    finished.end_time = end_time;
    ASSERT_TRUE(store().Finish(finished).ok());
  }
  std::vector<std::string> Names(const JobQuery& query) {
    std::vector<std::string> names;
    const JobPage page = store().List(query).value();
    for (const Job& job : page.jobs) names.push_back(job.name);
    return names;
  }

  const std::unique_ptr<StoreUnderTest> under_test_ = GetParam()();
};

INSTANTIATE_TEST_SUITE_P(Stores, JobStoreTest, testing::Values(MakeMemoryStore, MakeSqliteStore),
                         [](const auto& info) { return info.index == 0 ? "Memory" : "Sqlite"; });

TEST_P(JobStoreTest, AKeyNamesOneJob) {
  EXPECT_FALSE(Create("jobs/1", "k", "h")->existed);
  const auto again = Create("jobs/2", "k", "h");
  EXPECT_TRUE(again->existed);
  EXPECT_EQ("jobs/1", again->job.name);
  const auto other = Create("jobs/3", "k", "other");
  EXPECT_TRUE(absl::IsAlreadyExists(other.status()));
  EXPECT_EQ("KEY_REUSED", ErrorReason(other.status()));
  EXPECT_FALSE(Create("jobs/4", "k", "other", "tenant2")->existed);
  EXPECT_EQ("jobs/1", store().FindByRequestId("default", "k", "h").value()->name);
  EXPECT_EQ(std::nullopt, store().FindByRequestId("default", "new", "h").value());
  EXPECT_FALSE(store().FindByRequestId("default", "k", "x").ok());
}

TEST_P(JobStoreTest, AnotherTenantsJobIsUnknown) {
  Create("jobs/1").IgnoreError();
  EXPECT_TRUE(store().Get("default", "jobs/1").ok());
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(store().Get("else", "jobs/1").status()));
  EXPECT_THAT(Names({.tenant = "else", .limit = 9}), IsEmpty());
}

TEST_P(JobStoreTest, OnlyTheCurrentAttemptCounts) {
  Create("jobs/1").IgnoreError();
  const Job first = Claim("jobs/1");
  EXPECT_EQ(1, first.attempt);
  EXPECT_EQ(JobState::kRunning, first.state);
  EXPECT_TRUE(absl::IsAborted(store().Claim("jobs/1", "g", 6, {}).status()));
  ASSERT_TRUE(store().Requeue({"jobs/1", 5, 1}).ok());
  const Job second = store().Claim("jobs/1", "g", 6, {}).value();
  EXPECT_EQ(2, second.attempt);
  EXPECT_EQ("FENCED", ErrorReason(store().Finish(EndOf(first, JobState::kSucceeded)).status()));
  ASSERT_TRUE(store().Finish(EndOf(second, JobState::kSucceeded)).ok());
  EXPECT_TRUE(absl::IsAborted(store().Finish(EndOf(second, JobState::kSucceeded)).status()));
  EXPECT_TRUE(absl::IsAborted(store().Finish(EndOf(second, JobState::kFailed)).status()));
  EXPECT_EQ(JobState::kSucceeded, store().Get("default", "jobs/1")->state);
}

TEST_P(JobStoreTest, AQueuedJobCanEndButNotSucceed) {
  Create("jobs/1").IgnoreError();
  const Job job = store().Get("default", "jobs/1").value();
  EXPECT_TRUE(absl::IsAborted(store().Finish(EndOf(job, JobState::kSucceeded)).status()));
  EXPECT_TRUE(store().Finish(EndOf(job, JobState::kCancelled)).ok());
}

TEST_P(JobStoreTest, ACancelIsAFlagAndLeavesFinishedJobsAlone) {
  Create("jobs/1").IgnoreError();
  EXPECT_TRUE(store().RequestCancel("jobs/1")->cancel_requested);
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(store().RequestCancel("jobs/1", "another").status()));
  const Job job = Claim("jobs/1");
  EXPECT_TRUE(job.cancel_requested);
  Create("jobs/2").IgnoreError();
  store().Finish(EndOf(Claim("jobs/2"), JobState::kSucceeded)).IgnoreError();
  EXPECT_FALSE(store().RequestCancel("jobs/2")->cancel_requested);
}

TEST_P(JobStoreTest, ListsNewestFirstInPages) {
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3", "jobs/4"}) Create(name).IgnoreError();
  Claim("jobs/3");
  JobQuery query = {.tenant = "default", .limit = 2};
  EXPECT_THAT(Names(query), ElementsAre("jobs/4", "jobs/3"));
  EXPECT_TRUE(store().List(query)->more);
  query.before_name = "jobs/3";
  EXPECT_THAT(Names(query), ElementsAre("jobs/2", "jobs/1"));
  EXPECT_FALSE(store().List(query)->more);
  query = {.tenant = "default", .states = {JobState::kRunning}, .limit = 9};
  EXPECT_THAT(Names(query), ElementsAre("jobs/3"));
}

TEST_P(JobStoreTest, AnArtefactGoesWithItsLastOwner) {
  for (const char* name : {"jobs/1", "jobs/2"}) {
    Create(name).IgnoreError();
    EXPECT_EQ("NOT_FINISHED", ErrorReason(store().Delete(name).status()));
    store().Finish(EndOf(Claim(name), JobState::kSucceeded)).IgnoreError();
  }
  EXPECT_THAT(store().Delete("jobs/1")->orphans, IsEmpty());
  EXPECT_EQ("aa", store().Delete("jobs/2")->orphans.at(0).sha256);
  EXPECT_TRUE(absl::IsNotFound(store().Delete("jobs/2").status()));
}

TEST_P(JobStoreTest, TrimsTheOldestFinished) {
  Create("jobs/0").IgnoreError();  // queued: stays
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3"}) {
    Create(name, /*key=*/name, "h").IgnoreError();
    store().Finish(EndOf(Claim(name), JobState::kFailed)).IgnoreError();
  }
  EXPECT_THAT(store().Trim({.finished_jobs = {1}})->jobs, ElementsAre("jobs/1", "jobs/2"));
  EXPECT_THAT(Names({.tenant = "default", .limit = 9}), ElementsAre("jobs/3", "jobs/0"));
  EXPECT_THAT(store().Trim({.finished_jobs = {1}})->jobs, IsEmpty());
}

// B1: a retry within the key's day must not make a second job, whatever became of the first.
TEST_P(JobStoreTest, AKeyOutlivesItsJob) {
  const auto at = [](int seconds) { return Job::WallTime(std::chrono::seconds(seconds)); };
  for (const char* name : {"jobs/1", "jobs/2"}) {
    Create(name, /*key=*/name, "h").IgnoreError();  // created at 0
    store().Finish(EndOf(Claim(name), JobState::kFailed)).IgnoreError();
  }
  ASSERT_THAT(store().Trim({.finished_jobs = {1}})->jobs, ElementsAre("jobs/1"));
  ASSERT_TRUE(store().Delete("jobs/2").ok());
  under_test_->Reopen();
  for (const char* key : {"jobs/1", "jobs/2"}) {
    const absl::Status again = Create("jobs/3", key, "h").status();
    EXPECT_TRUE(absl::IsNotFound(again)) << again;
    EXPECT_EQ("UNKNOWN_JOB", ErrorReason(again));
    EXPECT_EQ(again, store().FindByRequestId("default", key, "h").status());
    EXPECT_EQ("KEY_REUSED", ErrorReason(Create("jobs/3", key, "other").status()));
  }
  EXPECT_TRUE(Create("jobs/4", "jobs/1", "h", "tenant2").ok());
  ASSERT_TRUE(store().Trim({.keys_created_before = at(1)}).ok());
  EXPECT_FALSE(Create("jobs/5", "jobs/1", "h")->existed);
}

// B1: what one tenant makes pushes nothing of another's out.
TEST_P(JobStoreTest, ATenantLosesItsOwnJobsAlone) {
  Create("jobs/0", "", "", "quiet").IgnoreError();
  Succeed("jobs/0");
  for (int i = 1; i <= 20; ++i) {
    const std::string name = absl::StrCat("jobs/x", 10 + i);
    const Job job = Create(name, "", "", "loud")->job;
    ASSERT_TRUE(store().Finish(EndOf(job, JobState::kCancelled)).ok());
  }
  const KeepLimit own = {10, {{"quiet", {5, 5}}, {"loud", {5, 5}}}};
  EXPECT_EQ(15, store().Trim({.finished_jobs = own})->jobs.size());
  // loud may have more than its share, until all together are too many.
  const KeepLimit shares = {4, {{"quiet", {9, 2}}, {"loud", {9, 2}}}};
  EXPECT_THAT(store().Trim({.finished_jobs = shares})->jobs, ElementsAre("jobs/x26", "jobs/x27"));
  EXPECT_TRUE(store().Get("quiet", "jobs/0").ok());
  EXPECT_TRUE(store().Owns("aa").value());
}

TEST_P(JobStoreTest, OneTrimHoldsUpTheWritesOnlySoLong) {
  for (int i = 10; i < 20; ++i) {
    const std::string name = absl::StrCat("jobs/", i);
    Create(name).IgnoreError();
    Succeed(name, {10, absl::StrCat("a", i), "video/mp4"});
  }
  const Retention retention = {.finished_jobs = {1}, .result_bytes = {50}, .most_removed = 3};
  Removed removed = store().Trim(retention).value();
  EXPECT_TRUE(removed.more);
  EXPECT_EQ(3, removed.jobs.size());
  int trims = 1;
  for (; removed.more; ++trims) removed = store().Trim(retention).value();
  EXPECT_LE(3, trims);  // of 3 jobs each
  EXPECT_GE(4, trims);  // and perhaps a last look
  EXPECT_THAT(Names({.tenant = "default", .limit = 99}), ElementsAre("jobs/19"));
}

TEST_P(JobStoreTest, EpochsAreNeverGivenTwiceAndModelsKeepTheirOrder) {
  int64_t last = 0;
  for (const char* name : {"first", "second", "first"}) {
    v1::Model model = TestModel(name);
    model.set_digest(store().Models()->empty() ? "old" : "new");
    const int64_t epoch = store().NewEpoch(model).value();
    EXPECT_LT(last, epoch);
    last = epoch;
  }
  const std::vector<v1::Model> models = store().Models().value();
  ASSERT_EQ(2, models.size());
  EXPECT_EQ("first", models[0].name());
  EXPECT_EQ("new", models[0].digest());
}

TEST_P(JobStoreTest, RecoversWhatDidNotEndUncharged) {
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3"}) Create(name, name, "h").IgnoreError();
  Succeed("jobs/1");
  Claim("jobs/3");
  const int64_t epoch = store().NewEpoch({}).value();
  const JobTotals totals = store().Totals().value();
  under_test_->Reopen();
  const std::vector<Job> unfinished = store().Adopt().value();
  ASSERT_EQ(2, unfinished.size());
  EXPECT_EQ("jobs/2", unfinished[0].name);
  EXPECT_EQ(1, unfinished[0].attempt);
  EXPECT_EQ("jobs/3", unfinished[1].name);
  EXPECT_EQ(JobState::kQueued, unfinished[1].state);
  EXPECT_EQ(2, unfinished[1].attempt);
  EXPECT_EQ(0, unfinished[1].charges);
  EXPECT_EQ(JobState::kSucceeded, store().Get("default", "jobs/1")->state);
  EXPECT_TRUE(Create("jobs/4", "jobs/1", "h")->existed);
  EXPECT_LT(epoch, store().NewEpoch({}).value());
  EXPECT_EQ(totals.counts, store().Totals()->counts);
}

TEST_P(JobStoreTest, KeepsAllOfAJob) {
  NewJob given;
  given.job.name = "jobs/1";
  given.job.tenant = "default";
  given.job.request.set_model("tiny");
  given.job.request.set_prompt("a red circle");
  given.job.create_time = Job::WallTime(std::chrono::microseconds(1'700'000'000'123'456));
  given.job.image_sha256 = "a1b2";
  given.job.image_bytes = 6;
  ASSERT_TRUE(CreateAndWait(store(), given).ok());
  const Job claimed = store().Claim("jobs/1", "group", 7, given.job.create_time).value();
  EXPECT_EQ("a1b2", claimed.image_sha256);
  ASSERT_TRUE(
      store().Requeue({"jobs/1", 7, 1, true, {absl::StatusCode::kAborted, "LOST", "gone"}}).ok());
  FinishedJob finished = EndOf(store().Claim("jobs/1", "group", 8, {}).value(), JobState::kFailed);
  finished.error = {absl::StatusCode::kInternal, "BROKEN", "why"};
  finished.stage_seconds = {1, 2.5, 3, 4};
  finished.end_time = given.job.create_time + std::chrono::seconds(9);
  finished.last_sequence = int64_t{3} << 32;
  ASSERT_TRUE(store().Finish(finished).ok());
  under_test_->Reopen();
  const Job job = store().Get("default", "jobs/1").value();
  EXPECT_EQ("a red circle", job.request.prompt());
  EXPECT_EQ(6, job.image_bytes);
  EXPECT_EQ("a1b2", job.image_sha256);
  EXPECT_EQ(given.job.create_time, job.create_time);
  EXPECT_EQ(finished.end_time, job.end_time);
  EXPECT_EQ("group", job.group);
  EXPECT_EQ(8, job.epoch);
  EXPECT_EQ(2, job.attempt);
  EXPECT_EQ(1, job.charges);
  EXPECT_EQ("BROKEN", job.error.reason);
  EXPECT_EQ("why", job.error.message);
  EXPECT_EQ(absl::StatusCode::kInternal, job.error.code);
  EXPECT_EQ(2.5, job.stage_seconds.denoise);
  EXPECT_EQ(4, job.stage_seconds.encode);
  EXPECT_EQ(finished.last_sequence, job.last_sequence);
  const JobTotals::Key failed{"tiny", "default", JobState::kFailed, "BROKEN"};
  EXPECT_EQ(1, store().Totals()->counts.at(failed));
}

TEST_P(JobStoreTest, ResultsExpireByAgeAndByBytesOldestFirst) {
  const auto at = [](int seconds) { return Job::WallTime(std::chrono::seconds(seconds)); };
  const Artefact first{10, "a1", "video/mp4"}, shared{20, "a2", "video/mp4"},
      last{30, "a3", "video/mp4"};
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3", "jobs/4"}) Create(name).IgnoreError();
  Succeed("jobs/1", first, at(100));
  Succeed("jobs/2", shared, at(200));
  Succeed("jobs/3", shared, at(300));
  Succeed("jobs/4", last, at(400));
  Removed removed = store().Trim({.results_ended_before = at(101)}).value();
  EXPECT_THAT(removed.jobs, IsEmpty());
  ASSERT_EQ(1, removed.orphans.size());
  EXPECT_EQ("a1", removed.orphans[0].sha256);
  EXPECT_TRUE(store().Get("default", "jobs/1")->result_expired);
  EXPECT_EQ(JobState::kSucceeded, store().Get("default", "jobs/1")->state);
  removed =
      store().Trim({.result_bytes = {69}}).value();  // 70 are there: jobs/2 goes, its file not
  EXPECT_THAT(removed.orphans, IsEmpty());
  EXPECT_TRUE(store().Owns("a2").value());
  removed = store().Trim({.result_bytes = {49}}).value();
  ASSERT_EQ(1, removed.orphans.size());
  EXPECT_EQ("a2", removed.orphans[0].sha256);
  EXPECT_FALSE(store().Owns("a2").value());
  EXPECT_TRUE(store().Owns("a3").value());
}

// 3600 s are an hour; what ends in it counts in it.
TEST_P(JobStoreTest, UsageIsKeptByHourTenantAndModel) {
  const auto at = [](int seconds) { return Job::WallTime(std::chrono::seconds(seconds)); };
  const auto run = [&](const std::string& name, const std::string& tenant, JobState state, int end,
                       double gpu_seconds) {
    Create(name, "", "", tenant).IgnoreError();
    FinishedJob finished = EndOf(Claim(name), state);
    finished.end_time = at(end);
    finished.gpu_seconds = gpu_seconds;
    ASSERT_TRUE(store().Finish(finished).ok());
  };
  run("jobs/1", "a", JobState::kSucceeded, 3599, 10);
  run("jobs/2", "a", JobState::kFailed, 3600, 20);
  run("jobs/3", "a", JobState::kCancelled, 7199, 0.5);
  run("jobs/4", "b", JobState::kExpired, 7199, 0);
  Create("jobs/5", "", "", "b").IgnoreError();
  Claim("jobs/5");
  ASSERT_TRUE(
      store()
          .Requeue(
              {.name = "jobs/5", .epoch = 5, .attempt = 1, .end_time = at(7200), .gpu_seconds = 4})
          .ok());
  EXPECT_FALSE(
      store().Requeue({.name = "jobs/5", .epoch = 5, .attempt = 1, .gpu_seconds = 9}).ok());
  const auto usage = [&](int from, int to, const std::string& tenant = "") {
    return store().Usage({at(from), at(to), tenant}).value();
  };
  const TenantUsage first = {"a", "", 10, 1, 0, 0, 3}, second = {"a", "", 20.5, 0, 1, 1, 0};
  EXPECT_THAT(usage(0, 3600), ElementsAre(first));
  EXPECT_THAT(usage(3600, 7200), ElementsAre(second, TenantUsage{"b", "", 0, 0, 0, 1, 0}));
  EXPECT_THAT(usage(7199, 7201, "a"), ElementsAre(second));  // whole hours
  EXPECT_THAT(usage(7200, 7201), ElementsAre(TenantUsage{"b", "", 4, 0, 0, 0, 0}));
  EXPECT_THAT(usage(0, 9999, "a"), ElementsAre(TenantUsage{"a", "", 30.5, 1, 1, 1, 3}));
  EXPECT_THAT(usage(10'800, 99'999), IsEmpty());
  ASSERT_TRUE(store().Trim({.usage_ended_before = at(7200)}).ok());
  EXPECT_THAT(usage(0, 9999), ElementsAre(TenantUsage{"b", "", 4, 0, 0, 0, 0}));
}

TEST_P(JobStoreTest, KeysExpire) {
  Create("jobs/1", "k", "h").IgnoreError();  // created at 0
  ASSERT_TRUE(store().Trim({.keys_created_before = Job::WallTime(std::chrono::seconds(1))}).ok());
  EXPECT_FALSE(Create("jobs/2", "k", "other")->existed);
  EXPECT_TRUE(store().Probe().ok());
}

}  // namespace
}  // namespace cogwheel
