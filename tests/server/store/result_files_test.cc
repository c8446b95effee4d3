#include "server/store/files/result_files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/store/files/data_dir_lock.h"
#include "server/store/files/durable_files.h"
#include "tests/server/store/store_under_test.h"
#include "tests/support/memory_job_store.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

class ResultFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "result_files_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    files_ = ResultFiles::Open(folder_, metrics_).value();
  }
  void TearDown() override { fs::remove_all(folder_); }

  bool TmpIsEmpty() const { return fs::is_empty(fs::path(folder_) / "tmp"); }
  Artefact Stated(const std::string& bytes) const {
    return {static_cast<int64_t>(bytes.size()), Sha256Hex(bytes), "video/mp4"};
  }

  std::string folder_;
  ServerMetrics metrics_{MakeRegistry()};
  std::unique_ptr<ResultFiles> files_;
};

TEST_F(ResultFilesTest, CommitsUnderTheDigest) {
  auto writer = files_->Begin("jobs/1", 2, 3).value();
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  ASSERT_TRUE(writer->Append(3, "def").ok());
  const auto early = writer->reader();
  EXPECT_EQ("cde", early->Read(2, 3).value());
  const Artefact artefact = Stated("abcdef");
  ASSERT_TRUE(writer->Commit(artefact).ok());
  writer.reset();
  EXPECT_TRUE(TmpIsEmpty());
  EXPECT_TRUE(fs::exists(fs::path(folder_) / "artefacts" / artefact.sha256.substr(0, 2) /
                         (artefact.sha256 + ".mp4")));
  const auto reader = files_->Open(artefact).value();
  EXPECT_EQ("abcdef", reader->Read(0, 100).value());
  EXPECT_EQ("", reader->Read(6, 100).value());
  EXPECT_EQ("bc", early->Read(1, 2).value());  // open files outlive the rename
  files_->Remove(artefact);
  EXPECT_EQ("RESULT_EXPIRED", ErrorReason(files_->Open(artefact).status()));
  files_->Remove(artefact);
}

TEST_F(ResultFilesTest, LeavesNothingWithoutACommit) {
  auto writer = files_->Begin("jobs/1", 1, 1).value();
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  EXPECT_FALSE(TmpIsEmpty());
  writer.reset();
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(ResultFilesTest, RefusesWhatTheRankDidNotState) {
  const auto commit = [this](const Artefact& stated) {
    auto writer = files_->Begin("jobs/1", 1, 1).value();
    writer->Append(0, "abc").IgnoreError();
    return writer->Commit(stated);
  };
  Artefact stated = Stated("abc");
  EXPECT_TRUE(commit(stated).ok());
  stated.size_bytes = 4;
  EXPECT_TRUE(absl::IsDataLoss(commit(stated)));
  EXPECT_EQ("RESULT_DIGEST", ErrorReason(commit(Stated("abd"))));
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(ResultFilesTest, RefusesGapsAndRepeats) {
  auto writer = files_->Begin("jobs/1", 1, 1).value();
  ASSERT_TRUE(writer->Append(0, "abc").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(writer->Append(4, "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(writer->Append(0, "abc")));
  EXPECT_TRUE(writer->Append(3, "d").ok());
}

TEST_F(ResultFilesTest, ADamagedResultIsNotServed) {
  auto writer = files_->Begin("jobs/1", 1, 1).value();
  const Artefact artefact = Stated(std::string(5000, 'a'));
  writer->Append(0, std::string(5000, 'a')).IgnoreError();
  ASSERT_TRUE(writer->Commit(artefact).ok());
  ASSERT_TRUE(files_->Open(artefact).ok());
  const fs::path path = fs::path(folder_) / ArtefactPath(artefact);
  std::fstream(path, std::ios::in | std::ios::out).seekp(4000).put('b');
  EXPECT_EQ("CHECKSUM", ErrorReason(files_->Open(artefact).status()));
  EXPECT_TRUE(absl::IsDataLoss(files_->Open(artefact).status()));
  std::fstream(path, std::ios::in | std::ios::out).seekp(4000).put('a');
  EXPECT_TRUE(files_->Open(artefact).ok());
  fs::resize_file(path, 4999);
  EXPECT_TRUE(absl::IsDataLoss(files_->Open(artefact).status()));
  const Artefact large = {(int64_t{64} << 20) + 1, "ff", "video/mp4"};  // by its size alone
  fs::create_directories((fs::path(folder_) / ArtefactPath(large)).parent_path());
  std::ofstream(fs::path(folder_) / ArtefactPath(large)) << "x";
  fs::resize_file(fs::path(folder_) / ArtefactPath(large), static_cast<uint64_t>(large.size_bytes));
  EXPECT_TRUE(files_->Open(large).ok());
  fs::resize_file(fs::path(folder_) / ArtefactPath(large), 1000);
  EXPECT_TRUE(absl::IsDataLoss(files_->Open(large).status()));
}

TEST_F(ResultFilesTest, SweepsWhatNobodyOwnsOnceItIsOld) {
  MemoryJobStore jobs;
  NewJob job;
  job.job.name = "jobs/1";
  ASSERT_TRUE(CreateAndWait(jobs, job).ok());
  const Artefact owned{3, "aa11", "video/mp4"}, orphan{3, "aa22", "video/mp4"};
  const Job running = BlockingStore(jobs).Claim("jobs/1", "g", 1, {}).value();
  ASSERT_TRUE(BlockingStore(jobs).Finish(EndOf(running, JobState::kSucceeded, owned)).ok());
  WriteResultFile(folder_, owned);
  WriteResultFile(folder_, orphan);
  std::ofstream(fs::path(folder_) / "tmp" / "jobs-1-1-1") << "x";
  ASSERT_TRUE(files_->Sweep(jobs, std::chrono::hours(1)).ok());
  EXPECT_TRUE(fs::exists(fs::path(folder_) / ArtefactPath(orphan)));
  EXPECT_FALSE(TmpIsEmpty());
  ASSERT_TRUE(files_->Sweep(jobs, std::chrono::seconds(0)).ok());
  EXPECT_FALSE(fs::exists(fs::path(folder_) / ArtefactPath(orphan)));
  EXPECT_TRUE(fs::exists(fs::path(folder_) / ArtefactPath(owned)));
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(ResultFilesTest, AFullDiskIsSaidToBeFull) {
  fs::create_symlink("/dev/full", fs::path(folder_) / "tmp" / "jobs-1-1-1");
  auto writer = files_->Begin("jobs/1", 1, 1).value();
  const absl::Status full = writer->Append(0, "abc");
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_EQ("STORE_FULL", ErrorReason(full));
}

TEST(DurableFilesDeathTest, AFailedSyncEndsTheProcess) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));  // which cannot be synced
  EXPECT_EXIT(SyncFile(ends[0], "a/file"), testing::ExitedWithCode(kDiskFailedExit), "a/file");
  close(ends[0]);
  close(ends[1]);
}

TEST_F(ResultFilesTest, ADataDirectoryHasOneServer) {
  {
    const auto first = DataDirLock::Take(folder_);
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = DataDirLock::Take(folder_);
    EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  }
  EXPECT_TRUE(DataDirLock::Take(folder_).ok());
  EXPECT_FALSE(DataDirLock::Take("/proc/none").ok());
}

}  // namespace
}  // namespace cogwheel
