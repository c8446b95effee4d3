#include "server/store/files/input_files.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

class InputFilesTest : public testing::Test {
 protected:
  absl::StatusOr<std::string> Put(const std::string& bytes) {
    return Await<absl::StatusOr<std::string>>([&](Answer<std::string> done) {
      inputs_->Put(std::make_shared<const std::string>(bytes), std::move(done));
    });
  }
  absl::StatusOr<InputStore::Bytes> Read(const std::string& sha256) {
    return Await<absl::StatusOr<InputStore::Bytes>>(
        [&](Answer<InputStore::Bytes> done) { inputs_->Read(sha256, std::move(done)); });
  }
  fs::path PathOf(const std::string& sha256) const {
    return fs::path(folder_.path()) / "inputs" / sha256;
  }

  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  IoPool pool_{{.threads = 2}};
  std::unique_ptr<InputFiles> inputs_ = InputFiles::Open(folder_.path(), pool_, metrics_).value();
};

TEST_F(InputFilesTest, GivesBackWhatWasPut) {
  const std::string bytes("im\0age", 6);
  const std::string sha256 = Put(bytes).value();
  EXPECT_EQ(Sha256Hex(bytes), sha256);
  EXPECT_EQ(bytes, **Read(sha256));
  EXPECT_TRUE(fs::is_empty(fs::path(folder_.path()) / "tmp"));
}

TEST_F(InputFilesTest, DamagedOrGoneIsDataLossUntilItIsPutAgain) {
  const std::string sha256 = Put("image").value();
  std::ofstream(PathOf(sha256)) << "other";
  EXPECT_EQ("CHECKSUM", ErrorReason(Read(sha256).status()));
  fs::remove(PathOf(sha256));
  EXPECT_TRUE(absl::IsDataLoss(Read(sha256).status()));
  EXPECT_EQ(sha256, Put("image").value());
  EXPECT_EQ("image", **Read(sha256));
}

// What is put may be refused; a job that was claimed starts all the same.
TEST_F(InputFilesTest, AReadIsNeverRefused) {
  const std::string sha256 = Put("image").value();
  IoPool busy({.threads = 1, .line = 1});
  Mutex mutex;
  CondVar freed;
  bool free = false;
  busy.Post("other", [&] {
    MutexLock lock(mutex);
    freed.WaitFor(mutex, std::chrono::seconds(60), [&free] { return free; });
  });
  const auto inputs = InputFiles::Open(folder_.path(), busy, metrics_).value();
  std::string refused;
  for (int i = 0; i < 3; ++i) {
    inputs->Put(std::make_shared<const std::string>("other"),
                [&](const auto& put) { refused = ErrorReason(put.status()); });
  }
  EXPECT_EQ("STORE", refused);
  const auto read = Await<absl::StatusOr<InputStore::Bytes>>([&](Answer<InputStore::Bytes> done) {
    inputs->Read(sha256, std::move(done));
    MutexLock lock(mutex);
    free = true;
    freed.NotifyAll();
  });
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ("image", **read);
  busy.Stop();
}

TEST_F(InputFilesTest, SweepsWhatIsNotWantedOnceItIsOld) {
  const std::string wanted = Put("wanted").value(), other = Put("other").value();
  const auto sweep = [&](std::chrono::seconds grace) {
    return inputs_->Sweep([&](const std::string& sha256) { return sha256 == wanted; }, grace);
  };
  ASSERT_TRUE(sweep(std::chrono::hours(1)).ok());
  EXPECT_TRUE(fs::exists(PathOf(other)));
  ASSERT_TRUE(sweep(std::chrono::seconds(0)).ok());
  EXPECT_TRUE(fs::exists(PathOf(wanted)));
  EXPECT_FALSE(fs::exists(PathOf(other)));
}

TEST_F(InputFilesTest, WhatComesInPiecesIsThereOnceItIsCommitted) {
  {
    const std::unique_ptr<InputWriter> writer = inputs_->Begin().value();
    ASSERT_TRUE(writer->Append("ima").ok());
    ASSERT_TRUE(writer->Append("ge").ok());
    EXPECT_EQ("image", writer->Contents().value());
    EXPECT_FALSE(fs::exists(PathOf(Sha256Hex("image"))));
    ASSERT_TRUE(writer->Commit(Sha256Hex("image")).ok());
  }
  EXPECT_EQ("image", **Read(Sha256Hex("image")));
  EXPECT_TRUE(fs::is_empty(fs::path(folder_.path()) / "tmp"));
}

TEST_F(InputFilesTest, WhatIsNotCommittedLeavesNothing) {
  ASSERT_TRUE(inputs_->Begin().value()->Append("ima").ok());
  EXPECT_TRUE(fs::is_empty(fs::path(folder_.path()) / "tmp"));
  EXPECT_TRUE(fs::is_empty(fs::path(folder_.path()) / "inputs"));
}

TEST_F(InputFilesTest, WhatIsPutAgainWhileItIsSweptStays) {
  const std::string sha256 = Put("image").value();
  fs::last_write_time(PathOf(sha256), fs::file_time_type::clock::now() - std::chrono::hours(2));
  const auto put_again = [&](const std::string&) {
    EXPECT_TRUE(Put("image").ok());
    return false;
  };
  ASSERT_TRUE(inputs_->Sweep(put_again, std::chrono::hours(1)).ok());
  EXPECT_TRUE(fs::exists(PathOf(sha256)));
}

TEST_F(InputFilesTest, AFullDiskIsTheStores) {
  fs::remove(fs::path(folder_.path()) / "tmp");
  std::ofstream(fs::path(folder_.path()) / "tmp") << "no folder";
  EXPECT_EQ("STORE", ErrorReason(Put("image").status()));
  EXPECT_EQ("STORE", ErrorReason(inputs_->Begin().status()));
}

}  // namespace
}  // namespace cogwheel
