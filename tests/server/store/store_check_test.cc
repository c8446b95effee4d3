#include "server/store/sqlite/store_check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/store/files/result_files.h"
#include "server/store/sqlite/sqlite.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StoreCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = SqliteJobStore::Open({.data_dir = folder_.path()}, metrics_).value();
    NewJob job;
    job.job.name = "jobs/1";
    job.job.tenant = "default";
    job.job.request.set_model("m");
    ASSERT_TRUE(CreateAndWait(*store_, job).ok());
    WriteResultFile(folder_.path(), result_);
    BlockingStore jobs(*store_);
    ASSERT_TRUE(
        jobs.Finish(EndOf(jobs.Claim("jobs/1", "g", 1, {}).value(), JobState::kSucceeded, result_))
            .ok());
  }
  std::vector<std::string> Faults(const std::string& folder) const {
    std::vector<std::string> faults;
    for (const Finding& finding : CheckStore(folder)) {
      if (finding.level == FindingLevel::kFault) {
        faults.push_back(finding.check + ": " + finding.what);
      }
    }
    return faults;
  }
  fs::path Result() const { return fs::path(folder_.path()) / ArtefactPath(result_); }
  void Run(const std::string& sql) {
    auto connection =
        Connection::Open(folder_.path() + "/cogwheel.sqlite", "", Connection::Mode::kWrite).value();
    ASSERT_TRUE(connection->Run(sql).ok());
  }

  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  const Artefact result_{3, "aa", "video/mp4"};
  std::unique_ptr<SqliteJobStore> store_;
};

TEST_F(StoreCheckTest, AStoreInUseAndOneThatLiesStillAreAsTheyShouldBe) {
  EXPECT_THAT(Faults(folder_.path()), IsEmpty());
  store_.reset();
  EXPECT_THAT(Faults(folder_.path()), IsEmpty());
}

TEST_F(StoreCheckTest, ABackupIsCheckedAndNotChanged) {
  TemporaryFolder backups;
  ASSERT_TRUE(store_->operate().BackUp(backups.path(), "one").ok());
  const fs::path backup = fs::path(backups.path()) / "one";
  EXPECT_THAT(Faults(backup.string()), IsEmpty());  // results are not in it
  EXPECT_EQ(1, std::distance(fs::directory_iterator(backup), fs::directory_iterator()));
}

TEST_F(StoreCheckTest, NamesAResultThatIsGoneOrCut) {
  std::ofstream(Result()) << "x";
  EXPECT_THAT(Faults(folder_.path()), ElementsAre("results: jobs/1: " + ArtefactPath(result_) +
                                                  " has 1 bytes in place of 3"));
  fs::remove(Result());
  EXPECT_THAT(Faults(folder_.path()),
              ElementsAre("results: jobs/1: " + ArtefactPath(result_) + " is missing"));
}

TEST_F(StoreCheckTest, TotalsMustBeThoseOfTheJobs) {
  Run("UPDATE totals SET count = count + 2 WHERE state = -1");
  EXPECT_THAT(Faults(folder_.path()),
              ElementsAre(HasSubstr("model m of tenant default: 2 more jobs are accepted")));
}

TEST_F(StoreCheckTest, ADamagedFileIsAFault) {
  store_.reset();
  fs::remove(folder_.path() + "/cogwheel.sqlite-wal");
  std::fstream file(folder_.path() + "/cogwheel.sqlite", std::ios::in | std::ios::out);
  file << "no database at all";
  file.close();
  EXPECT_EQ(1, Faults(folder_.path()).size());
  EXPECT_THAT(Faults(folder_.path() + "/elsewhere"), ElementsAre(HasSubstr("does not exist")));
}

}  // namespace
}  // namespace cogwheel
