#include "server/job/operate_store.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using testing::ElementsAre;
using testing::IsEmpty;
using Kind = PauseTarget::Kind;

const Job::WallTime kNow{hours(500'000)};

class OperateStoreTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(folder_.path()); }
  void Reopen(const std::string& folder) {
    store_.reset();
    store_ = SqliteJobStore::Open({.data_dir = folder}, metrics_).value();
  }
  BlockingStore jobs() { return BlockingStore(*store_); }
  OperateStore& store() { return store_->operate(); }
  template <typename Post>
  static absl::Status Do(const Post& post) {
    return Await<absl::Status>([&](Done done) { post(std::move(done)); });
  }
  absl::Status Retire(const std::string& model) {
    return Do([&](Done done) { store().RetireModel(model, std::move(done)); });
  }
  absl::StatusOr<Removed> Purge(const PurgeOrder& order) {
    return Await<absl::StatusOr<Removed>>(
        [&](Answer<Removed> done) { store().Purge(order, std::move(done)); });
  }
  void Create(const std::string& name, const std::string& tenant) {
    NewJob job;
    job.job.name = name;
    job.job.tenant = tenant;
    job.job.request.set_model("m");
    job.request_id = name;
    job.request_hash = "h";
    ASSERT_TRUE(CreateAndWait(*store_, job).ok());
  }
  void End(const std::string& name, const std::string& tenant, Job::WallTime end_time) {
    FinishedJob end = EndOf(store_->Get(tenant, name).value(), JobState::kCancelled);
    end.end_time = end_time;
    ASSERT_TRUE(jobs().Finish(end).ok());
  }
  std::vector<std::string> ModelNames() const {
    std::vector<std::string> names;
    const std::vector<v1::Model> models = store_->Models().value();
    for (const v1::Model& model : models) names.push_back(model.name());
    return names;
  }
  absl::Status Bring(const std::string& name) {
    v1::Model model;
    model.set_name(name);
    return jobs().NewEpoch(model).status();
  }

  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  std::unique_ptr<SqliteJobStore> store_;
};

TEST_F(OperateStoreTest, OrdersOutliveTheProcess) {
  ASSERT_TRUE(Do([&](Done done) { store().DrainGroup("g", kNow, done); }).ok());
  ASSERT_TRUE(Do([&](Done done) { store().DrainGroup("g", kNow, done); }).ok());  // once is enough
  ASSERT_TRUE(Do([&](Done done) { store().DrainGroup("h", kNow, done); }).ok());
  ASSERT_TRUE(Do([&](Done done) { store().ResumeGroup("h", done); }).ok());
  ASSERT_TRUE(Do([&](Done done) { store().Pause({Kind::kModel, "m"}, "old", kNow, done); }).ok());
  ASSERT_TRUE(Do([&](Done done) { store().Pause({Kind::kModel, "m"}, "new", kNow, done); }).ok());
  ASSERT_TRUE(Do([&](Done done) { store().Pause({Kind::kTenant, "m"}, "", kNow, done); }).ok());
  Reopen(folder_.path());
  OperatorOrders orders = store().Orders().value();
  EXPECT_THAT(orders.drained, ElementsAre("g"));
  EXPECT_EQ("new", orders.paused.at({Kind::kModel, "m"}));
  EXPECT_EQ("", orders.paused.at({Kind::kTenant, "m"}));
  ASSERT_TRUE(Do([&](Done done) { store().Unpause({Kind::kModel, "m"}, done); }).ok());
  EXPECT_EQ(1, store().Orders()->paused.size());
}

TEST_F(OperateStoreTest, AJobIsFoundWhosesoeverItIs) {
  Create("jobs/1", "a");
  EXPECT_EQ("a", store().Find("jobs/1")->tenant);
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(store().Find("jobs/2").status()));
}

TEST_F(OperateStoreTest, ARetiredModelIsForgottenUntilAGroupBringsIt) {
  for (const char* name : {"first", "m", "last"}) ASSERT_TRUE(Bring(name).ok());
  ASSERT_TRUE(Retire("first").ok());
  EXPECT_THAT(ModelNames(), ElementsAre("m", "last"));  // the default moves on
  EXPECT_EQ("UNKNOWN_MODEL", ErrorReason(Retire("first")));
  Create("jobs/1", "a");
  EXPECT_EQ("MODEL_JOBS", ErrorReason(Retire("m")));
  ASSERT_TRUE(jobs().Claim("jobs/1", "g", 1, {}).ok());
  EXPECT_EQ("MODEL_JOBS", ErrorReason(Retire("m")));
  End("jobs/1", "a", kNow);
  EXPECT_TRUE(Retire("m").ok());
  ASSERT_TRUE(Bring("first").ok());
  EXPECT_THAT(ModelNames(), ElementsAre("last", "first"));  // as if it were seen first now
}

TEST_F(OperateStoreTest, APurgeTakesWhatOneTenantEndedBefore) {
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3", "jobs/4"}) Create(name, "a");
  Create("jobs/5", "b");
  End("jobs/1", "a", kNow - hours(2));
  End("jobs/2", "a", kNow);  // not before
  End("jobs/3", "a", kNow - hours(1));
  End("jobs/5", "b", kNow - hours(2));
  PurgeOrder order{"a", kNow, "", /*limit=*/1};
  EXPECT_THAT(Purge(order)->jobs, ElementsAre("jobs/1"));
  order.after_name = "jobs/1";
  EXPECT_THAT(Purge(order)->jobs, ElementsAre("jobs/3"));
  order.after_name = "jobs/3";
  EXPECT_THAT(Purge(order)->jobs, IsEmpty());
  EXPECT_TRUE(store().Find("jobs/2").ok() && store().Find("jobs/4").ok());
  EXPECT_TRUE(store().Find("jobs/5").ok());
  const auto key = store_->FindByRequestId("a", "jobs/1", "h");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_FALSE(key->has_value());  // its key went too
  EXPECT_TRUE(store_->FindByRequestId("b", "jobs/5", "h")->has_value());
}

TEST_F(OperateStoreTest, APurgeForgetsTheKeysOfJobsThatWereRemovedBefore) {
  Create("jobs/1", "a");
  Create("jobs/2", "b");
  End("jobs/1", "a", kNow - hours(1));
  End("jobs/2", "b", kNow - hours(1));
  ASSERT_TRUE(jobs().Delete("jobs/1", "a").ok());
  ASSERT_TRUE(jobs().Delete("jobs/2", "b").ok());
  EXPECT_TRUE(absl::IsNotFound(store_->FindByRequestId("a", "jobs/1", "h").status()));
  ASSERT_TRUE(Purge({"a", kNow, "", /*limit=*/1}).ok());
  EXPECT_FALSE(store_->FindByRequestId("a", "jobs/1", "h")->has_value());
  EXPECT_TRUE(absl::IsNotFound(store_->FindByRequestId("b", "jobs/2", "h").status()));
}

TEST_F(OperateStoreTest, APurgeNamesResultsThatNobodyOwnsAnyMore) {
  const Artefact shared{3, "aa", "video/mp4"}, own{5, "bb", "video/mp4"};
  for (const auto& [name, result] : {std::pair{"jobs/1", shared}, {"jobs/2", own}}) {
    Create(name, "a");
    WriteResultFile(folder_.path(), result);
    FinishedJob end = EndOf(jobs().Claim(name, "g", 1, {}).value(), JobState::kSucceeded, result);
    end.end_time = kNow - hours(1);
    ASSERT_TRUE(jobs().Finish(end).ok());
  }
  Create("jobs/3", "b");
  ASSERT_TRUE(
      jobs()
          .Finish(EndOf(jobs().Claim("jobs/3", "g", 1, {}).value(), JobState::kSucceeded, shared))
          .ok());
  const Removed removed = Purge({"a", kNow, "", /*limit=*/9}).value();
  ASSERT_EQ(1, removed.orphans.size());
  EXPECT_EQ("bb", removed.orphans[0].sha256);
}

TEST_F(OperateStoreTest, ABackupIsAStoreOfItsMoment) {
  Create("jobs/1", "a");
  TemporaryFolder backups;
  const BackupMade made = store().BackUp(backups.path(), "one").value();
  Create("jobs/2", "a");
  const fs::path file = fs::path(backups.path()) / "one" / "cogwheel.sqlite";
  EXPECT_EQ(made.size_bytes, static_cast<int64_t>(fs::file_size(file)));
  EXPECT_EQ(fs::perms::owner_read | fs::perms::owner_write, fs::status(file).permissions());
  EXPECT_EQ(fs::perms::owner_all, fs::status(file.parent_path()).permissions());
  const absl::Status twice = store().BackUp(backups.path(), "one").status();
  EXPECT_EQ("BACKUP_EXISTS", ErrorReason(twice));
  Reopen((fs::path(backups.path()) / "one").string());
  EXPECT_TRUE(store().Find("jobs/1").ok());
  EXPECT_FALSE(store().Find("jobs/2").ok());
}

TEST_F(OperateStoreTest, ABackupThatCannotBeWrittenLeavesNothing) {
  const fs::path nowhere = fs::path(folder_.path()) / "cogwheel.sqlite";  // a file
  const absl::Status refused = store().BackUp(nowhere.string(), "one").status();
  EXPECT_EQ("BACKUP", ErrorReason(refused));
  EXPECT_EQ(std::string::npos, refused.message().find(folder_.path()));  // no path for callers
  TemporaryFolder backups;
  fs::create_directory(fs::path(backups.path()) / ".one.partial");  // of a crash
  EXPECT_TRUE(store().BackUp(backups.path(), "one").ok());
  EXPECT_FALSE(fs::exists(fs::path(backups.path()) / ".one.partial"));
}

}  // namespace
}  // namespace cogwheel
