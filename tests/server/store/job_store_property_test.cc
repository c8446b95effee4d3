#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/server/store/store_model.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

constexpr int kCases = 200, kOperations = 40;

using Factory = std::unique_ptr<StoreUnderTest> (*)();

// A random history that asks a store and the model the same. Names, keys, digests and epochs come
// from small sets, so that they meet.
class RandomHistory {
 public:
  RandomHistory(StoreUnderTest& under_test, unsigned seed)
      : under_test_(under_test), chance_(seed) {}

  void Run() {
    for (int i = 0; i < kOperations; ++i) {
      SCOPED_TRACE(absl::StrCat("operation ", i));
      Step();
      if (testing::Test::HasFailure()) return;
    }
    CompareAll();
  }

 private:
  int Pick(int below) { return static_cast<int>(chance_() % static_cast<unsigned>(below)); }
  std::string Name() { return absl::StrCat("jobs/", 100 + Pick(created_ + 1)); }
  Job::WallTime At(int64_t seconds) const { return Job::WallTime(std::chrono::seconds(seconds)); }
  BlockingStore store() { return under_test_.store(); }

  void Step() {
    switch (Pick(17)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Create();
      case 4:
      case 5:
      case 6:
        return Claim();
      case 7:
        return Requeue();
      case 8:
      case 9:
      case 10:
        return Finish();
      case 11:
        return Cancel();
      case 12:
        return Delete();
      case 13:
        return Trim();
      case 14:
        return Epoch();
      case 15:
        return Warn();
      default:
        return Restart();
    }
  }

  void Create() {
    NewJob job;
    job.job.name = absl::StrCat("jobs/", 100 + ++created_);
    job.job.tenant = Pick(3) == 0 ? "other" : "default";
    job.job.create_time = At(created_);
    if (Pick(4) != 0) job.request_id = absl::StrCat("key", Pick(8));
    if (Pick(4) != 0) job.job.model_digest = absl::StrCat("d", Pick(2));
    job.job.warnings = Warnings();
    job.request_hash = Pick(5) == 0 ? "h2" : "h1";
    if (Pick(3) == 0) job.job.image_sha256 = std::to_string(Pick(3));
    const auto [name, reason] = model_.Create(job);
    const auto created = CreateAndWait(store(), job);
    ASSERT_EQ(reason, ErrorReason(created.status()));
    if (!created.ok()) return;
    EXPECT_EQ(name, created->job.name);
    EXPECT_EQ(name != job.job.name, created->existed);
  }

  void Claim() {
    const std::string name = Name();
    const int64_t epoch = Pick(3);
    const auto claimed = store().Claim(name, "g", epoch, At(0));
    EXPECT_EQ(model_.Claim(name, epoch), ErrorReason(claimed.status()));
  }

  // The current attempt of a job, or now and then another one.
  std::pair<int64_t, int32_t> Attempt(const std::string& name) {
    const auto job = model_.jobs().find(name);
    if (job == model_.jobs().end()) return {0, 0};
    const bool stale = Pick(4) == 0;
    return {job->second.epoch + (stale ? Pick(2) : 0), job->second.attempt - (stale ? 1 : 0)};
  }

  std::vector<std::string> Warnings() {
    std::vector<std::string> warnings;
    for (int i = Pick(3); i > 0; --i) warnings.push_back(absl::StrCat("'w", Pick(9), "' …"));
    return warnings;
  }

  void Warn() {
    const std::string name = Name();
    const auto [epoch, attempt] = Attempt(name);
    const JobWarnings known = {name, epoch, attempt, Warnings()};
    EXPECT_EQ(model_.Warn(known), ErrorReason(store().Warn(known)));
  }

  void Requeue() {
    const std::string name = Name();
    const auto [epoch, attempt] = Attempt(name);
    const LostAttempt lost = {name, epoch, attempt, Pick(2) == 0, {}};
    EXPECT_EQ(model_.Requeue(lost), ErrorReason(store().Requeue(lost).status()));
  }

  void Finish() {
    FinishedJob finished;
    finished.name = Name();
    std::tie(finished.epoch, finished.attempt) = Attempt(finished.name);
    finished.state = static_cast<JobState>(static_cast<int>(JobState::kSucceeded) + Pick(4));
    finished.end_time = At(Pick(50));
    if (finished.state == JobState::kFailed) finished.error.reason = absl::StrCat("R", Pick(2));
    if (finished.state == JobState::kSucceeded) {
      finished.result = Artefact{kResultBytes, absl::StrCat("a", Pick(4)), "video/mp4"};
      under_test_.AddResult(*finished.result);
    }
    EXPECT_EQ(model_.Finish(finished), ErrorReason(store().Finish(finished).status()));
  }

  std::string TenantOf(const std::string& name) {
    return store().Get("other", name).ok() ? "other" : "default";
  }

  void Cancel() {
    const std::string name = Name();
    EXPECT_EQ(model_.RequestCancel(name),
              ErrorReason(store().RequestCancel(name, TenantOf(name)).status()));
  }

  static std::multiset<std::string> Digests(const Removed& removed) {
    std::multiset<std::string> digests;
    for (const Artefact& orphan : removed.orphans) digests.insert(orphan.sha256);
    return digests;
  }

  void ExpectSame(const Removed& expected, const Removed& removed) {
    EXPECT_EQ(expected.jobs, removed.jobs);
    EXPECT_EQ(Digests(expected), Digests(removed));
  }

  void Delete() {
    const std::string name = Name();
    Removed expected;
    const std::string reason = model_.Delete(name, expected);
    const auto removed = store().Delete(name, TenantOf(name));
    ASSERT_EQ(reason, ErrorReason(removed.status()));
    if (removed.ok()) ExpectSame(expected, *removed);
  }

  KeepLimit Limit(int64_t unit) {
    KeepLimit limit{unit * (Pick(2) == 0 ? Pick(10) : 1000)};
    for (const char* tenant : {"default", "other"}) {
      if (Pick(3) == 0) continue;
      limit.tenants[tenant] = {unit * Pick(10), static_cast<double>(limit.total) / (1 << Pick(3))};
    }
    return limit;
  }

  void Trim() {
    Retention retention;
    retention.finished_jobs = Limit(1);
    retention.result_bytes = Limit(kResultBytes);
    retention.results_ended_before = At(Pick(2) == 0 ? Pick(50) : 0);
    retention.keys_created_before = At(Pick(2) == 0 ? Pick(created_ + 1) : 0);
    const auto removed = store().Trim(retention);
    ASSERT_TRUE(removed.ok()) << removed.status();
    ExpectSame(model_.Trim(retention), *removed);
  }

  void Epoch() {
    const int64_t epoch = store().NewEpoch({}).value();
    EXPECT_LT(last_epoch_, epoch);
    last_epoch_ = epoch;
  }

  void Restart() {
    under_test_.Reopen();
    std::vector<std::string> names;
    const std::vector<Job> unfinished = store().Adopt().value();
    for (const Job& job : unfinished) names.push_back(job.name);
    EXPECT_EQ(model_.Recover(), names);
    CompareAll();
  }

  StoreModel::Entry Seen(const Job& job) const {
    const auto seconds = [](const std::optional<Job::WallTime>& time) {
      return time.has_value()
                 ? std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch())
                       .count()
                 : 0;
    };
    return {job.tenant,
            job.state,
            job.attempt,
            job.charges,
            job.epoch,
            job.cancel_requested,
            job.result.has_value() ? job.result->sha256 : "",
            job.result_expired,
            seconds(job.create_time),
            seconds(job.end_time),
            job.model_digest,
            job.warnings};
  }

  void CompareAll() {
    std::map<std::string, StoreModel::Entry> seen;
    for (const char* tenant : {"default", "other"}) {
      const JobPage page = store().List({.tenant = tenant, .limit = 1000}).value();
      for (const Job& job : page.jobs) seen[job.name] = Seen(job);
    }
    EXPECT_EQ(model_.jobs(), seen);
    EXPECT_EQ(model_.totals(), store().Totals()->counts);
    for (const char* digest : {"a0", "a1", "a2", "a3"}) {
      EXPECT_EQ(model_.Owns(digest), store().Owns(digest).value()) << digest;
    }
  }

  StoreUnderTest& under_test_;
  StoreModel model_;
  std::mt19937 chance_;
  int created_ = 0;
  int64_t last_epoch_ = 0;
};

class JobStorePropertyTest : public testing::TestWithParam<Factory> {};

INSTANTIATE_TEST_SUITE_P(Stores, JobStorePropertyTest,
                         testing::Values(MakeMemoryStore, MakeUnsyncedSqliteStore),
                         [](const auto& info) { return info.index == 0 ? "Memory" : "Sqlite"; });

TEST_P(JobStorePropertyTest, AnswersAsTheModelDoes) {
  for (unsigned seed = 1; seed <= kCases; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const std::unique_ptr<StoreUnderTest> under_test = GetParam()();
    RandomHistory(*under_test, seed).Run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace cogwheel
