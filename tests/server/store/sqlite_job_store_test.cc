#include "server/store/sqlite/sqlite_job_store.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/job/fault.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

class SqliteJobStoreTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    store_ = SqliteJobStore::Open({.data_dir = folder_.path()}, metrics_).value();
  }
  absl::Status OpenAgain() {
    store_.reset();
    return SqliteJobStore::Open({.data_dir = folder_.path()}, metrics_).status();
  }
  NewJob WithImage(const std::string& name, const std::string& image) const {
    NewJob job;
    job.job.name = name;
    job.job.tenant = "default";
    job.job.image_sha256 = image;
    job.job.image_bytes = static_cast<int64_t>(image.size());
    return job;
  }
  BlockingStore store() { return BlockingStore(*store_); }
  fs::path Database() const { return fs::path(folder_.path()) / "cogwheel.sqlite"; }
  void Cancel(const std::string& name) {
    const Job job = store_->Get("default", name).value();
    ASSERT_TRUE(store().Finish(EndOf(job, JobState::kCancelled)).ok());
  }

  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  std::unique_ptr<SqliteJobStore> store_;
};

TEST_F(SqliteJobStoreTest, AnInputIsWantedAsLongAsAJobMayNeedIt) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "shared")).ok());
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/2", "shared")).ok());
  Cancel("jobs/1");
  EXPECT_TRUE(store_->WantsInput("shared").value());
  Reopen();
  EXPECT_EQ("shared", store().Claim("jobs/2", "g", 1, {})->image_sha256);
  Cancel("jobs/2");
  EXPECT_FALSE(store_->WantsInput("shared").value());
  EXPECT_FALSE(store_->WantsInput("").value());
}

// B5: SQLite stores NaN as NULL, which the columns refuse. As the store's failure it was tried
// again for ever, and no job started meanwhile.
TEST_F(SqliteJobStoreTest, AChangeThatCanNeverBeStoredIsRefusedForGood) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "image")).ok());
  EXPECT_EQ("STORE_REFUSED",
            ErrorReason(CreateAndWait(*store_, WithImage("jobs/1", "image")).status()));
  FinishedJob end = EndOf(store().Claim("jobs/1", "g", 1, {}).value(), JobState::kFailed);
  end.stage_seconds.denoise = std::numeric_limits<double>::quiet_NaN();
  const absl::Status refused = store().Finish(end).status();
  EXPECT_TRUE(absl::IsInternal(refused)) << refused;
  EXPECT_EQ("STORE_REFUSED", ErrorReason(refused));
  EXPECT_FALSE(IsStoreFault(refused));
  end.stage_seconds.denoise = 1;
  end.gpu_seconds = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ("STORE_REFUSED", ErrorReason(store().Finish(end).status()));
  end.gpu_seconds = 1;
  EXPECT_TRUE(store().Finish(end).ok());
}

TEST_F(SqliteJobStoreTest, OneRefusalInAGroupOfWritesIsAlone) {
  constexpr int kJobs = 50;
  std::vector<std::promise<absl::Status>> answers(kJobs);
  for (int i = 0; i < kJobs; ++i) {
    NewJob job;
    job.job.name = "jobs/" + std::to_string(i);
    job.job.tenant = "default";
    job.request_id = i % 10 == 9 ? "0" : std::to_string(i);  // each tenth key is taken
    job.request_hash = "h" + std::to_string(i);
    store_->Create(std::move(job), [&answer = answers[i]](const auto& created) {
      answer.set_value(created.status());
    });
  }
  for (int i = 0; i < kJobs; ++i) {
    const absl::Status answer = answers[i].get_future().get();
    EXPECT_EQ(i % 10 == 9, absl::IsAlreadyExists(answer)) << i << answer;
    EXPECT_EQ(answer.ok(), store_->Get("default", "jobs/" + std::to_string(i)).ok());
  }
}

TEST_F(SqliteJobStoreTest, AFileOfANewerProgramIsRefusedByName) {
  auto connection = Connection::Open(Database(), "", Connection::Mode::kWrite).value();
  ASSERT_TRUE(connection->Run("PRAGMA user_version = 99").ok());
  const absl::Status refused = OpenAgain();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_NE(std::string::npos, refused.message().find("cogwheel.sqlite")) << refused;
  EXPECT_NE(std::string::npos, refused.message().find("99")) << refused;
}

// As the release before left it, and may leave it again: it names the columns that it knows.
TEST_F(SqliteJobStoreTest, AFileOfTheReleaseBeforeIsTakenOverAndCanGoBack) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "image")).ok());
  const auto change = [this](const std::string& sql) {
    store_.reset();
    auto connection = Connection::Open(Database(), "", Connection::Mode::kWrite).value();
    const absl::Status changed = connection->Run(sql);
    EXPECT_TRUE(changed.ok()) << sql << changed;
    return connection->Number("PRAGMA user_version").value();
  };
  change("ALTER TABLE jobs DROP COLUMN warnings");
  EXPECT_EQ(1, change("ALTER TABLE jobs DROP COLUMN model_digest"));
  Reopen();
  EXPECT_EQ("", store_->Get("default", "jobs/1")->model_digest);
  NewJob ours = WithImage("jobs/2", "image");
  ours.job.model_digest = "d";
  ours.job.warnings = {"a", "b"};
  ASSERT_TRUE(CreateAndWait(*store_, ours).ok());
  EXPECT_EQ(1, change("INSERT INTO jobs (name, tenant, state, attempt, epoch, charges, group_name,"
                      " request, image_bytes, image_sha256, cancel_requested, create_time,"
                      " error_code, error_reason, error_message, result_expired, text_encode_s,"
                      " denoise_s, decode_s, encode_s, last_sequence) SELECT 'jobs/3', tenant,"
                      " state, attempt, epoch, charges, group_name, request, image_bytes,"
                      " image_sha256, cancel_requested, create_time, error_code, error_reason,"
                      " error_message, result_expired, text_encode_s, denoise_s, decode_s,"
                      " encode_s, last_sequence FROM jobs WHERE name = 'jobs/2'"));
  Reopen();
  EXPECT_EQ("d", store_->Get("default", "jobs/2")->model_digest);
  EXPECT_EQ(2, store_->Get("default", "jobs/2")->warnings.size());
  EXPECT_EQ("", store_->Get("default", "jobs/3")->model_digest);
  EXPECT_TRUE(store_->Get("default", "jobs/3")->warnings.empty());
}

// Which makes digests of other bytes: a job checked against its description runs on any.
TEST_F(SqliteJobStoreTest, ADigestThatTheReleaseBeforeStoredIsNone) {
  const auto change = [this](const std::string& sql) {
    store_.reset();
    auto connection = Connection::Open(Database(), "", Connection::Mode::kWrite).value();
    const absl::Status changed = connection->Run(sql);
    EXPECT_TRUE(changed.ok()) << sql << changed;
    connection.reset();
    Reopen();
  };
  const auto digest = [this] { return store_->Models().value().at(0).digest(); };
  v1::Model model;
  model.set_name("m");
  model.set_digest("ours");
  ASSERT_TRUE(store().NewEpoch(model).ok());
  EXPECT_EQ("ours", digest());
  change("ALTER TABLE models DROP COLUMN digest");  // as the release before left it
  EXPECT_EQ("m", store_->Models().value().at(0).name());
  EXPECT_EQ("", digest());
  ASSERT_TRUE(store().NewEpoch(model).ok());
  EXPECT_EQ("ours", digest());
  change("UPDATE models SET description = replace(description, 'ours', 'else')");  // it again
  EXPECT_EQ("", digest());
}

TEST_F(SqliteJobStoreTest, AStateThatIsNotKnownIsAnError) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "image")).ok());
  auto connection = Connection::Open(Database(), "", Connection::Mode::kWrite).value();
  ASSERT_TRUE(connection->Run("UPDATE jobs SET state = 6").ok());
  const absl::Status status = store_->Get("default", "jobs/1").status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(std::string::npos, status.message().find("state 6")) << status;
}

TEST_F(SqliteJobStoreTest, ADamagedFileIsRefusedByName) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/" + std::to_string(i), "image")).ok());
  }
  store_.reset();
  {
    auto connection = Connection::Open(Database(), "", Connection::Mode::kWrite).value();
    ASSERT_TRUE(connection->Checkpoint().ok());
  }
  fs::remove(Database().string() + "-wal");
  const std::string whole = [this] {
    std::ifstream file(Database(), std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(file), {}};
  }();
  const auto refused_with = [&](size_t offset, size_t count) {
    std::string damaged = whole;
    damaged.replace(offset, count, std::string(count, '\x5a'));
    std::ofstream(Database(), std::ios::binary) << damaged;
    const absl::Status refused = OpenAgain();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << offset << " " << refused;
    EXPECT_NE(std::string::npos, refused.message().find("cogwheel.sqlite")) << refused;
  };
  refused_with(0, 100);                   // the header
  refused_with(whole.size() / 2, 4096);   // some table's page
  refused_with(whole.size() - 4096, 64);  // another page's head
  std::ofstream(Database(), std::ios::binary) << whole;
  EXPECT_TRUE(OpenAgain().ok());
}

}  // namespace
}  // namespace cogwheel
