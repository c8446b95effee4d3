#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::IsEmpty;

class SqliteInputRowsTest : public testing::Test {
 protected:
  void Reopen() {
    store_.reset();
    store_ = SqliteJobStore::Open({.data_dir = folder_.path()}, metrics_).value();
  }
  absl::Status Keep(const std::string& tenant, const std::string& sha256, hours expires,
                    const std::string& refusal = "") {
    return Await<absl::Status>([&](Done done) {
      store_->inputs().Keep({tenant, sha256, 7, refusal, At(expires)}, std::move(done));
    });
  }
  absl::StatusOr<KeptInput> Use(const std::string& tenant, const std::string& sha256,
                                hours expires) {
    return Await<absl::StatusOr<KeptInput>>([&](Answer<KeptInput> done) {
      store_->inputs().Use(tenant, sha256, At(expires), std::move(done));
    });
  }
  // Of each that is gone, "tenant digest".
  std::vector<std::string> DropExpired(hours now) {
    std::vector<std::string> gone;
    const auto dropped =
        Await<absl::StatusOr<std::vector<KeptInput>>>([&](Answer<std::vector<KeptInput>> done) {
          store_->inputs().DropExpired(At(now), std::move(done));
        });
    for (const KeptInput& input : *dropped) gone.push_back(input.tenant + " " + input.sha256);
    return gone;
  }
  static Job::WallTime At(hours time) { return Job::WallTime(time); }

  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  std::unique_ptr<SqliteJobStore> store_ =
      SqliteJobStore::Open({.data_dir = folder_.path()}, metrics_).value();
};

TEST_F(SqliteInputRowsTest, AnInputIsItsTenantsAlone) {
  ASSERT_TRUE(Keep("a", "aa", hours(24), "is a GIF file").ok());
  const KeptInput used = Use("a", "aa", hours(1)).value();
  EXPECT_EQ("aa", used.sha256);
  EXPECT_EQ(7, used.size_bytes);
  EXPECT_EQ("is a GIF file", used.image_refusal);
  EXPECT_EQ(At(hours(24)), used.expire_time) << "a use never shortens its life";
  EXPECT_EQ("UNKNOWN_INPUT", ErrorReason(Use("b", "aa", hours(1)).status()));
  EXPECT_EQ("UNKNOWN_INPUT", ErrorReason(Use("a", "bb", hours(1)).status()));
}

TEST_F(SqliteInputRowsTest, EachTenantsRowLivesByItself) {
  ASSERT_TRUE(Keep("a", "aa", hours(24)).ok());
  ASSERT_TRUE(Keep("b", "aa", hours(48)).ok());
  EXPECT_THAT(DropExpired(hours(24)), IsEmpty());
  EXPECT_THAT(DropExpired(hours(25)), ElementsAre("a aa"));
  EXPECT_TRUE(store_->WantsInput("aa").value()) << "tenant b keeps it";
  EXPECT_THAT(DropExpired(hours(49)), ElementsAre("b aa"));
  EXPECT_FALSE(store_->WantsInput("aa").value());
}

TEST_F(SqliteInputRowsTest, WhoNamesOrBringsItAgainRenewsIt) {
  ASSERT_TRUE(Keep("a", "aa", hours(24)).ok());
  EXPECT_EQ(At(hours(30)), Use("a", "aa", hours(30))->expire_time);
  EXPECT_THAT(DropExpired(hours(29)), IsEmpty());
  ASSERT_TRUE(Keep("a", "aa", hours(40)).ok());
  EXPECT_THAT(DropExpired(hours(39)), IsEmpty());
  EXPECT_THAT(DropExpired(hours(41)), ElementsAre("a aa"));
}

TEST_F(SqliteInputRowsTest, AnUnfinishedJobOfTheTenantKeepsIt) {
  ASSERT_TRUE(Keep("default", "aa", hours(24)).ok());
  ASSERT_TRUE(Keep("other", "aa", hours(24)).ok());
  NewJob job;
  job.job.name = "jobs/1";
  job.job.tenant = "default";
  job.job.image_sha256 = "aa";
  ASSERT_TRUE(CreateAndWait(*store_, job).ok());
  EXPECT_THAT(DropExpired(hours(25)), ElementsAre("other aa"));
  const Job known = store_->Get("default", "jobs/1").value();
  ASSERT_TRUE(BlockingStore(*store_).Finish(EndOf(known, JobState::kCancelled)).ok());
  EXPECT_THAT(DropExpired(hours(25)), ElementsAre("default aa"));
}

TEST_F(SqliteInputRowsTest, APurgeOfATenantTakesWhatWasNotUsedSince) {
  ASSERT_TRUE(Keep("a", "aa", hours(100) + kInputLife).ok());  // used at hour 100
  ASSERT_TRUE(Keep("a", "bb", hours(101) + kInputLife).ok());
  ASSERT_TRUE(Keep("b", "aa", hours(100) + kInputLife).ok());
  const auto purged = Await<absl::StatusOr<Removed>>([&](Answer<Removed> done) {
    store_->operate().Purge({"a", At(hours(101)), "", /*limit=*/1}, std::move(done));
  });
  ASSERT_TRUE(purged.ok());
  EXPECT_THAT(DropExpired(hours(1)), ElementsAre("a aa"));
}

TEST_F(SqliteInputRowsTest, ANewProcessFindsThem) {
  ASSERT_TRUE(Keep("a", "aa", hours(24)).ok());
  ASSERT_TRUE(Keep("b", "bb", hours(24)).ok());
  Reopen();
  const std::vector<KeptInput> all = store_->inputs().All().value();
  ASSERT_EQ(2, all.size());
  EXPECT_EQ("a", all[0].tenant);
  EXPECT_EQ(7, all[0].size_bytes);
  EXPECT_EQ("bb", all[1].sha256);
  EXPECT_EQ(At(hours(24)), all[1].expire_time);
}

}  // namespace
}  // namespace cogwheel
