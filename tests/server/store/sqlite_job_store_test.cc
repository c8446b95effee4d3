#include "server/store/sqlite/sqlite_job_store.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
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
    job.job.image = std::make_shared<const std::string>(image);
    job.job.image_bytes = static_cast<int64_t>(image.size());
    return job;
  }
  BlockingStore store() { return BlockingStore(*store_); }
  fs::path Database() const { return fs::path(folder_.path()) / "cogwheel.sqlite"; }
  fs::path Input(const std::string& image) const {
    return fs::path(folder_.path()) / "inputs" / Sha256Hex(image);
  }
  void Cancel(const std::string& name) {
    const Job job = store_->Get("default", name).value();
    ASSERT_TRUE(store().Finish(EndOf(job, JobState::kCancelled)).ok());
    ASSERT_TRUE(store().Probe().ok());  // what follows a commit has been done by then
  }

  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  std::unique_ptr<SqliteJobStore> store_;
};

TEST_F(SqliteJobStoreTest, AnImageStaysAsLongAsAJobMayNeedIt) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "shared")).ok());
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/2", "shared")).ok());
  Cancel("jobs/1");
  EXPECT_TRUE(fs::exists(Input("shared")));
  Reopen();
  EXPECT_EQ("shared", *store().Claim("jobs/2", "g", 1, {})->image);
  Cancel("jobs/2");
  EXPECT_FALSE(fs::exists(Input("shared")));
}

TEST_F(SqliteJobStoreTest, ARefusedJobLeavesNoImage) {
  NewJob job = WithImage("jobs/1", "first");
  job.request_id = "k";
  job.request_hash = "h";
  ASSERT_TRUE(CreateAndWait(*store_, job).ok());
  const auto twice = CreateAndWait(*store_, WithImage("jobs/1", "second"));
  EXPECT_FALSE(twice.ok());  // the name is taken
  ASSERT_TRUE(store().Probe().ok());
  EXPECT_TRUE(fs::exists(Input("first")));
  EXPECT_FALSE(fs::exists(Input("second")));
}

TEST_F(SqliteJobStoreTest, ImagesWithoutAJobAreSweptAtTheStart) {
  std::ofstream(Input("left")) << "left";
  Reopen();
  EXPECT_FALSE(fs::exists(Input("left")));
}

TEST_F(SqliteJobStoreTest, ADamagedImageIsNeverRun) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "image")).ok());
  std::ofstream(Input("image")) << "other";
  EXPECT_EQ("CHECKSUM", ErrorReason(store().Claim("jobs/1", "g", 1, {}).status()));
  fs::remove(Input("image"));
  EXPECT_TRUE(absl::IsDataLoss(store().Claim("jobs/1", "g", 1, {}).status()));
  EXPECT_EQ(JobState::kQueued, store_->Get("default", "jobs/1")->state);
  Cancel("jobs/1");
}

TEST_F(SqliteJobStoreTest, AFullDiskRefusesTheJobAndNothingElse) {
  fs::create_symlink("/dev/full",
                     fs::path(folder_.path()) / "tmp" / ("input-" + Sha256Hex("image")));
  const absl::Status full = CreateAndWait(*store_, WithImage("jobs/1", "image")).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_EQ("STORE_FULL", ErrorReason(full));
  EXPECT_TRUE(absl::IsNotFound(store_->Get("default", "jobs/1").status()));
  EXPECT_TRUE(store_->Totals()->counts.empty());
  EXPECT_TRUE(CreateAndWait(*store_, WithImage("jobs/2", "another")).ok());
}

TEST_F(SqliteJobStoreTest, ASuccessNeedsItsFile) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "image")).ok());
  const Artefact result{3, "aa", "video/mp4"};
  const FinishedJob end =
      EndOf(store().Claim("jobs/1", "g", 1, {}).value(), JobState::kSucceeded, result);
  EXPECT_TRUE(absl::IsDataLoss(store().Finish(end).status()));
  EXPECT_EQ(JobState::kRunning, store_->Get("default", "jobs/1")->state);
  WriteResultFile(folder_.path(), result);
  EXPECT_TRUE(store().Finish(end).ok());
}

TEST_F(SqliteJobStoreTest, AResultThatCannotBeLookedAtIsTheStoresFailure) {
  ASSERT_TRUE(CreateAndWait(*store_, WithImage("jobs/1", "image")).ok());
  const FinishedJob end = EndOf(store().Claim("jobs/1", "g", 1, {}).value(), JobState::kSucceeded,
                                {3, "aa", "video/mp4"});
  const fs::path artefacts = fs::path(folder_.path()) / "artefacts";
  fs::create_directories(artefacts);
  fs::create_symlink("aa", artefacts / "aa");  // leads to itself
  const absl::Status unknown = store().Finish(end).status();
  EXPECT_TRUE(absl::IsUnavailable(unknown)) << unknown;
  EXPECT_EQ("STORE", ErrorReason(unknown));
  EXPECT_EQ(JobState::kRunning, store_->Get("default", "jobs/1")->state);
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
