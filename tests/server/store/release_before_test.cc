#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "server/job/store_error.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

// What the first release wrote, word for word; the file has version 1.
constexpr const char* kFirstSchema[] = {
    "CREATE TABLE jobs ("
    " name TEXT PRIMARY KEY, tenant TEXT NOT NULL, state INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL, epoch INTEGER NOT NULL, charges INTEGER NOT NULL,"
    " group_name TEXT NOT NULL, request BLOB NOT NULL, image_bytes INTEGER NOT NULL,"
    " image_sha256 TEXT NOT NULL, cancel_requested INTEGER NOT NULL,"
    " create_time INTEGER NOT NULL, start_time INTEGER, end_time INTEGER,"
    " error_code INTEGER NOT NULL, error_reason TEXT NOT NULL, error_message TEXT NOT NULL,"
    " result_bytes INTEGER, result_sha256 TEXT, result_media_type TEXT,"
    " result_expired INTEGER NOT NULL, text_encode_s REAL NOT NULL, denoise_s REAL NOT NULL,"
    " decode_s REAL NOT NULL, encode_s REAL NOT NULL, last_sequence INTEGER NOT NULL"
    ") WITHOUT ROWID",
    "CREATE INDEX jobs_of_tenant ON jobs (tenant, name)",
    "CREATE INDEX unfinished_jobs ON jobs (name) WHERE state < 2",
    "CREATE INDEX finished_jobs ON jobs (name) WHERE state >= 2",
    "CREATE INDEX inputs ON jobs (image_sha256) WHERE state < 2",
    "CREATE INDEX kept_results ON jobs (name, end_time, result_bytes)"
    " WHERE result_sha256 IS NOT NULL AND result_expired = 0",
    "CREATE INDEX owned_results ON jobs (result_sha256)"
    " WHERE result_sha256 IS NOT NULL AND result_expired = 0",
    "CREATE TABLE keys ("
    " tenant TEXT NOT NULL, request_id TEXT NOT NULL, hash TEXT NOT NULL,"
    " job TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE, created INTEGER NOT NULL,"
    " PRIMARY KEY (tenant, request_id)) WITHOUT ROWID",
    "CREATE INDEX key_of_job ON keys (job)",
    "CREATE INDEX keys_by_age ON keys (created)",
    "CREATE TABLE totals ("
    " model TEXT NOT NULL, tenant TEXT NOT NULL, state INTEGER NOT NULL,"
    " reason TEXT NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY (model, tenant, state, reason)) WITHOUT ROWID",
    "CREATE TABLE models (name TEXT PRIMARY KEY, position INTEGER NOT NULL,"
    " description BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "PRAGMA user_version = 1",
};

// A data directory of the first release, which knows only its own statements.
class ReleaseBeforeTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto file = Open();
    for (const char* step : kFirstSchema) ASSERT_TRUE(file->Run(step).ok()) << step;
    Insert(*file, "jobs/queued", 0, "k0");
    Insert(*file, "jobs/running", 1, "k1");
    Insert(*file, "jobs/finished", 2, "k2");
    WriteResultFile(folder_.path(), {3, "aa", "video/mp4"});
  }
  std::unique_ptr<Connection> Open(const std::string& suffix = "") {
    return Connection::Open(Database() + suffix, "", Connection::Mode::kWrite).value();
  }
  std::unique_ptr<SqliteJobStore> Store() {
    return SqliteJobStore::Open({.data_dir = folder_.path()}, metrics_).value();
  }
  std::string Database() const { return folder_.path() + "/cogwheel.sqlite"; }
  static void Insert(Connection& file, const std::string& name, int state, const std::string& key) {
    const absl::Status job = file.Run(
        "INSERT INTO jobs (name, tenant, state, attempt, epoch, charges, group_name, request,"
        " image_bytes, image_sha256, cancel_requested, create_time, error_code, error_reason,"
        " error_message, result_expired, text_encode_s, denoise_s, decode_s, encode_s,"
        " last_sequence, end_time, result_bytes, result_sha256, result_media_type) VALUES (?1,"
        " 'default', ?2, ?2, ?2, 0, '', '', 0, '', 0, 0, 0, '', '', 0, 0, 0, 0, 0, 0,"
        " IIF(?2 = 2, 7, NULL), IIF(?2 = 2, 3, NULL), IIF(?2 = 2, 'aa', NULL),"
        " IIF(?2 = 2, 'video/mp4', NULL))",
        name, state);
    ASSERT_TRUE(job.ok()) << StoreDetail(job);
    ASSERT_TRUE(file.Run("INSERT INTO keys (tenant, request_id, hash, job, created) VALUES"
                         " ('default', ?1, 'h', ?2, 0)",
                         key, name)
                    .ok());
  }
  std::vector<std::string> Copies() const {
    std::vector<std::string> copies;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("cogwheel.sqlite.")) copies.push_back(entry.path().string());
    }
    return copies;
  }

  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
};

TEST_F(ReleaseBeforeTest, ItsJobsAndKeysAreTakenOver) {
  const auto store = Store();
  const std::vector<Job> unfinished = BlockingStore(*store).Adopt().value();
  ASSERT_EQ(2, unfinished.size());
  EXPECT_EQ("jobs/queued", unfinished[0].name);
  EXPECT_EQ("jobs/running", unfinished[1].name);
  EXPECT_EQ(2, unfinished[1].attempt);
  for (const auto& [key, job] : {std::pair("k0", "jobs/queued"), std::pair("k1", "jobs/running"),
                                 std::pair("k2", "jobs/finished")}) {
    EXPECT_EQ(job, store->FindByRequestId("default", key, "h").value()->name);
  }
  const Job finished = store->Get("default", "jobs/finished").value();
  EXPECT_EQ(JobState::kSucceeded, finished.state);
  EXPECT_EQ("aa", finished.result->sha256);
  EXPECT_TRUE(store->Owns("aa").value());
  EXPECT_TRUE(store->Usage({{}, Job::WallTime(std::chrono::hours(9))}).value().empty());
  // What it kept counts for the limits of now.
  const auto removed = BlockingStore(*store).Trim({.finished_jobs = {0}});
  ASSERT_EQ(1, removed->jobs.size());
  EXPECT_EQ("jobs/finished", removed->jobs[0]);
}

TEST_F(ReleaseBeforeTest, ACopyOfItsFileStaysForThisUserAlone) {
  Store();
  ASSERT_EQ(1, Copies().size());
  const std::string path = Copies()[0];
  EXPECT_TRUE(path.starts_with(Database() + ".before-")) << path;
  struct stat about;
  ASSERT_EQ(0, stat(path.c_str(), &about));
  EXPECT_EQ(0600, about.st_mode & 0777);
  const auto copy = Connection::Open(path, "", Connection::Mode::kRead).value();
  EXPECT_EQ(3, copy->Number("SELECT COUNT(*) FROM jobs").value());
  EXPECT_EQ(3, copy->Number("SELECT COUNT(*) FROM keys").value());
  EXPECT_EQ(0, copy->Number("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'usage'").value());
  EXPECT_EQ(1, copy->Number("PRAGMA user_version").value());
  for (const std::string& left : Copies()) fs::remove(left);
  Store();  // it is up to date now
  EXPECT_TRUE(Copies().empty());
}

TEST_F(ReleaseBeforeTest, WithoutACopyNothingIsChanged) {
  // The name of the copy is taken by a folder, as an unwilling disk would take it.
  Store();
  const std::string path = Copies().at(0);
  fs::remove(path);
  fs::create_directories(path + "/in use");
  Open()->Run("DROP TABLE usage").IgnoreError();
  const absl::Status refused =
      SqliteJobStore::Open({.data_dir = folder_.path()}, metrics_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_NE(std::string::npos, refused.message().find(path)) << refused;
  EXPECT_EQ(0, Open()->Number("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'usage'").value());
  EXPECT_FALSE(fs::exists(path + ".unfinished"));
}

// Back to it and forth again: its own statements do what they always did.
TEST_F(ReleaseBeforeTest, ItCanTakeTheFileBack) {
  {
    const auto store = Store();
    ASSERT_TRUE(BlockingStore(*store).Adopt().ok());
    ASSERT_TRUE(BlockingStore(*store).Delete("jobs/finished").ok());
    NewJob ours;
    ours.job.name = "jobs/ours";
    ours.job.tenant = "default";
    ours.request_id = "ours";
    ASSERT_TRUE(CreateAndWait(*store, ours).ok());
  }
  const auto file = Open();
  EXPECT_EQ(1, file->Number("PRAGMA user_version").value());
  EXPECT_EQ(1, file->Number("SELECT COUNT(*) FROM keys WHERE request_id = 'ours'").value());
  Insert(*file, "jobs/again", 2, "k2");  // whose job we removed: it knows nothing of that
  ASSERT_TRUE(file->Run("DELETE FROM jobs WHERE name = 'jobs/queued'").ok());
  EXPECT_EQ(0, file->Number("SELECT COUNT(*) FROM keys WHERE request_id = 'k0'").value());
  const auto store = Store();
  EXPECT_EQ("jobs/again", store->FindByRequestId("default", "k2", "h").value()->name);
  EXPECT_EQ("jobs/ours", store->FindByRequestId("default", "ours", "").value()->name);
  EXPECT_EQ(std::nullopt, store->FindByRequestId("default", "k0", "h").value());
  ASSERT_TRUE(BlockingStore(*store).Delete("jobs/again").ok());
  const absl::Status gone = store->FindByRequestId("default", "k2", "h").status();
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(gone)) << gone;
}

}  // namespace
}  // namespace cogwheel
