#include "server/store/result_files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "proto/contract/sha256.h"
#include "proto/contract/status.h"
#include "server/store/data_dir_lock.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

class ResultFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "result_files_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    files_ = ResultFiles::Open(folder_).value();
  }
  void TearDown() override { fs::remove_all(folder_); }

  bool TmpIsEmpty() const { return fs::is_empty(fs::path(folder_) / "tmp"); }
  Artefact Stated(const std::string& bytes) const {
    return {static_cast<int64_t>(bytes.size()), Sha256Hex(bytes), "video/mp4"};
  }

  std::string folder_;
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

TEST_F(ResultFilesTest, ClearsWhatACrashLeft) {
  std::ofstream(fs::path(folder_) / "tmp" / "jobs-1-1-1") << "x";
  ASSERT_TRUE(ResultFiles::Open(folder_).ok());
  EXPECT_TRUE(TmpIsEmpty());
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
