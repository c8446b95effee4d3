#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

constexpr int kThreads = 8, kJobsEach = 40, kSharedKeys = 10;

using Factory = std::unique_ptr<StoreUnderTest> (*)();

// Many callers at one store; also built with TSan.
class JobStoreThreadsTest : public testing::TestWithParam<Factory> {
 protected:
  // One caller's life: all keys are every caller's.
  void Call(int caller) {
    for (int i = 0; i < kJobsEach; ++i) {
      NewJob job;
      job.job.name = absl::StrCat("jobs/", caller, "-", i);
      job.job.tenant = "default";
      job.request_id = absl::StrCat("key", i % kSharedKeys);
      job.request_hash = "h";
      const auto created = CreateAndWait(store(), std::move(job));
      ASSERT_TRUE(created.ok()) << created.status();
      if (!created->existed) ++created_;
      Read(created->job.name);
      Advance(created->job);
    }
  }
  void Advance(const Job& job) {
    const auto claimed = store().Claim(job.name, "g", store().NewEpoch({}).value(), {});
    if (!claimed.ok()) return;  // another caller was faster
    if (claimed->attempt == 1) {
      EXPECT_TRUE(store().Requeue({job.name, claimed->epoch, claimed->attempt, true, {}}).ok());
      return;
    }
    EXPECT_TRUE(store().RequestCancel(job.name).ok());
    if (store().Finish(EndOf(*claimed, JobState::kCancelled)).ok()) ++finished_;
  }
  void Read(const std::string& name) {
    EXPECT_TRUE(store().Get("default", name).ok());
    EXPECT_TRUE(store().List({.tenant = "default", .limit = 5}).ok());
    EXPECT_TRUE(store().Owns("aa").ok());
    EXPECT_TRUE(store().Models().ok());
  }
  BlockingStore store() { return under_test_->store(); }

  const std::unique_ptr<StoreUnderTest> under_test_ = GetParam()();
  std::atomic<int> created_{0}, finished_{0};
};

INSTANTIATE_TEST_SUITE_P(Stores, JobStoreThreadsTest,
                         testing::Values(MakeMemoryStore, MakeSqliteStore),
                         [](const auto& info) { return info.index == 0 ? "Memory" : "Sqlite"; });

TEST_P(JobStoreThreadsTest, AKeyMakesOneJobAndEachEndIsCountedOnce) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kThreads; ++caller) {
    callers.emplace_back([this, caller] { Call(caller); });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(kSharedKeys, created_);
  EXPECT_EQ(kSharedKeys, finished_);
  const JobTotals totals = store().Totals().value();
  EXPECT_EQ(kSharedKeys, totals.counts.at({"", "default", std::nullopt, ""}));
  EXPECT_EQ(kSharedKeys, totals.counts.at({"", "default", JobState::kCancelled, ""}));
}

}  // namespace
}  // namespace cogwheel
