#include "server/store/files/result_files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
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
    files_ = ResultFiles::Open(folder_, pool_, metrics_).value();
  }
  void TearDown() override {
    pool_.Stop();
    fs::remove_all(folder_);
  }
  using Writer = std::shared_ptr<ResultWriter>;
  Writer Begin(int64_t most_bytes = 0, int32_t attempt = 1) {
    return Await<absl::StatusOr<Writer>>([&](Answer<Writer> done) {
             files_->Begin({"jobs/1", 1, attempt, most_bytes}, std::move(done));
           })
        .value();
  }
  static absl::Status Append(const Writer& writer, int64_t offset, const std::string& bytes) {
    return Await<absl::Status>(
        [&](Done done) { writer->Append({offset, bytes, nullptr}, std::move(done)); });
  }
  static absl::Status Commit(const Writer& writer, const Artefact& stated) {
    return Await<absl::Status>([&](Done done) { writer->Commit(stated, std::move(done)); });
  }
  // Once what its end asks for is done.
  void Drop(Writer& writer) {
    writer.reset();
    Await<absl::Status>([this](Done done) {
      pool_.Post("jobs-1-1-1", [done = std::move(done)] { done(absl::OkStatus()); });
    }).IgnoreError();
  }

  bool TmpIsEmpty() const { return fs::is_empty(fs::path(folder_) / "tmp"); }
  Artefact Stated(const std::string& bytes) const {
    return {static_cast<int64_t>(bytes.size()), Sha256Hex(bytes), "video/mp4"};
  }

  std::string folder_;
  ServerMetrics metrics_{MakeRegistry()};
  IoPool pool_{{.threads = 2, .in_order = true}};
  std::unique_ptr<ResultFiles> files_;
  MemoryJobStore nobody_;
};

TEST_F(ResultFilesTest, CommitsUnderTheDigest) {
  Writer writer = Begin();
  ASSERT_TRUE(Append(writer, 0, "abc").ok());
  ASSERT_TRUE(Append(writer, 3, "def").ok());
  const auto early = writer->reader();
  EXPECT_EQ("cde", early->Read(2, 3).value());
  const Artefact artefact = Stated("abcdef");
  ASSERT_TRUE(Commit(writer, artefact).ok());
  Drop(writer);
  EXPECT_TRUE(TmpIsEmpty());
  EXPECT_TRUE(fs::exists(fs::path(folder_) / "artefacts" / artefact.sha256.substr(0, 2) /
                         (artefact.sha256 + ".mp4")));
  const auto reader = files_->Open(artefact).value();
  EXPECT_EQ("abcdef", reader->Read(0, 100).value());
  EXPECT_EQ("", reader->Read(6, 100).value());
  EXPECT_EQ("bc", early->Read(1, 2).value());  // open files outlive the rename
  files_->Remove(artefact, nobody_);
  EXPECT_EQ("RESULT_EXPIRED", ErrorReason(files_->Open(artefact).status()));
  files_->Remove(artefact, nobody_);
}

TEST_F(ResultFilesTest, LeavesNothingWithoutACommit) {
  Writer writer = Begin();
  ASSERT_TRUE(Append(writer, 0, "abc").ok());
  EXPECT_FALSE(TmpIsEmpty());
  Drop(writer);
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(ResultFilesTest, RefusesWhatTheRankDidNotState) {
  const auto commit = [this](const Artefact& stated) {
    Writer writer = Begin();
    Append(writer, 0, "abc").IgnoreError();
    const absl::Status committed = Commit(writer, stated);
    Drop(writer);
    return committed;
  };
  Artefact stated = Stated("abc");
  EXPECT_TRUE(commit(stated).ok());
  stated.size_bytes = 4;
  EXPECT_TRUE(absl::IsDataLoss(commit(stated)));
  EXPECT_EQ("RESULT_DIGEST", ErrorReason(commit(Stated("abd"))));
  EXPECT_TRUE(TmpIsEmpty());
}

// With the first error the room is given back, and nothing more is taken.
TEST_F(ResultFilesTest, RefusesGapsAndRepeats) {
  Writer writer = Begin();
  ASSERT_TRUE(Append(writer, 0, "abc").ok());
  const std::shared_ptr<const ResultReader> held = writer->reader();
  EXPECT_EQ("abc", held->Read(0, 3).value());
  EXPECT_EQ("RESULT_ORDER", ErrorReason(Append(writer, 4, "x")));
  EXPECT_TRUE(TmpIsEmpty());
  EXPECT_EQ("", held->Read(0, 3).value()) << "a reader holds the disk's room";
  EXPECT_EQ("RESULT_ORDER", ErrorReason(Append(writer, 3, "d")));
  EXPECT_EQ("RESULT_ORDER", ErrorReason(Commit(writer, Stated("abcd"))));
}

// By that whoever sends it is slowed down.
TEST_F(ResultFilesTest, APieceIsHeldUntilItIsWritten) {
  Writer writer = Begin();
  auto owner = std::make_shared<const std::string>("abc");
  const std::weak_ptr<const std::string> held = owner;
  const std::string_view bytes = *owner;
  writer->Append({0, bytes, std::exchange(owner, nullptr)}, [&held](const absl::Status& written) {
    EXPECT_TRUE(written.ok());
    EXPECT_FALSE(held.expired());
  });
  Drop(writer);
  EXPECT_TRUE(held.expired());
}

// 512-byte blocks, as stat counts.
TEST_F(ResultFilesTest, SetsRoomAsideAndGivesBackWhatIsNotUsed) {
  Writer writer = Begin(/*most_bytes=*/1 << 20);
  const auto blocks = [](const fs::path& path) {
    struct stat about{};
    EXPECT_EQ(0, stat(path.c_str(), &about));
    return about.st_blocks;
  };
  EXPECT_GE(blocks(fs::path(folder_) / "tmp" / "jobs-1-1-1"), (1 << 20) / 512);
  ASSERT_TRUE(Append(writer, 0, "abc").ok());
  const Artefact artefact = Stated("abc");
  ASSERT_TRUE(Commit(writer, artefact).ok());
  EXPECT_LE(blocks(fs::path(folder_) / ArtefactPath(artefact)), 64);
  EXPECT_TRUE(Await<absl::Status>([&](Done done) { files_->CheckRoom(1 << 20, done); }).ok());
  const absl::Status none =
      Await<absl::Status>([&](Done done) { files_->CheckRoom(int64_t{1} << 43, done); });
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, none.code()) << none;
  EXPECT_FALSE(fs::exists(fs::path(folder_) / "tmp" / "room"));
}

// Whoever removes results knows of no job yet that owns the bytes.
TEST_F(ResultFilesTest, WhatIsBeingCommittedIsNotRemoved) {
  const Artefact artefact = Stated("abc");
  Writer writer = Begin();
  ASSERT_TRUE(Append(writer, 0, "abc").ok());
  ASSERT_TRUE(Commit(writer, artefact).ok());
  files_->Remove(artefact, nobody_);
  ASSERT_TRUE(files_->SweepResults(nobody_, std::chrono::seconds(0)).ok());
  EXPECT_TRUE(files_->Open(artefact).ok());
  Drop(writer);
  files_->Remove(artefact, nobody_);
  EXPECT_EQ("RESULT_EXPIRED", ErrorReason(files_->Open(artefact).status()));
}

// B12: however long a job takes, and wherever the wall clock jumps.
TEST_F(ResultFilesTest, TheFileOfAnAttemptThatLivesIsNotSwept) {
  Writer writer = Begin();
  ASSERT_TRUE(files_->SweepTmp(nobody_, std::chrono::seconds(0)).ok());
  ASSERT_TRUE(Append(writer, 0, "abc").ok());
  EXPECT_TRUE(Commit(writer, Stated("abc")).ok());
}

// The whole result is there: it is not made again because the disk was full for a moment.
TEST_F(ResultFilesTest, ACommitThatTheStoreCouldNotTakeGoesOn) {
  const Artefact artefact = Stated("abc");
  Writer writer = Begin();
  ASSERT_TRUE(Append(writer, 0, "abc").ok());
  const fs::path folder = (fs::path(folder_) / ArtefactPath(artefact)).parent_path();
  std::ofstream(folder) << "in the way";
  EXPECT_EQ("STORE", ErrorReason(Commit(writer, artefact)));
  fs::remove(folder);
  EXPECT_TRUE(Commit(writer, artefact).ok());
  EXPECT_EQ("abc", files_->Open(artefact).value()->Read(0, 9).value());
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
  ASSERT_TRUE(files_->SweepResults(jobs, std::chrono::hours(1)).ok());
  ASSERT_TRUE(files_->SweepTmp(jobs, std::chrono::hours(1)).ok());
  EXPECT_TRUE(fs::exists(fs::path(folder_) / ArtefactPath(orphan)));
  EXPECT_FALSE(TmpIsEmpty());
  ASSERT_TRUE(files_->SweepResults(jobs, std::chrono::seconds(0)).ok());
  ASSERT_TRUE(files_->SweepTmp(jobs, std::chrono::seconds(0)).ok());
  EXPECT_FALSE(fs::exists(fs::path(folder_) / ArtefactPath(orphan)));
  EXPECT_TRUE(fs::exists(fs::path(folder_) / ArtefactPath(owned)));
  EXPECT_TRUE(TmpIsEmpty());
}

TEST_F(ResultFilesTest, AFullDiskIsSaidToBeFull) {
  fs::create_symlink("/dev/full", fs::path(folder_) / "tmp" / "jobs-1-1-1");
  Writer writer = Begin();
  const absl::Status full = Append(writer, 0, "abc");
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
