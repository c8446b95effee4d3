#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "server/store/files/data_dir_lock.h"
#include "server/store/files/durable_files.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/store_under_test.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

int ModeOf(const fs::path& path) {
  struct stat about;
  EXPECT_EQ(0, stat(path.c_str(), &about)) << path;
  return static_cast<int>(about.st_mode & 07777);
}

// B17: prompts, pictures and results were for every local user to read.
class PermissionsTest : public testing::Test {
 protected:
  void SetUp() override { former_ = umask(0); }  // as wide as can be
  void TearDown() override { umask(former_); }
  void ServeOnce() {
    const auto lock = DataDirLock::Take(data_dir_.string());
    ASSERT_TRUE(lock.ok()) << lock.status();
    ServerMetrics metrics(MakeRegistry());
    const auto store = SqliteJobStore::Open({.data_dir = data_dir_.string()}, metrics);
    ASSERT_TRUE(store.ok()) << store.status();
    NewJob job;
    job.job.name = "jobs/1";
    job.job.tenant = "default";
    CreateAndWait(**store, job).IgnoreError();
    ASSERT_TRUE(MakeFolders(data_dir_, {"inputs", "tmp"}).ok());
    ASSERT_TRUE(WriteDurably(data_dir_ / "tmp" / "x", data_dir_ / "inputs" / "x", "picture").ok());
    ExpectPrivate();
  }
  void ExpectPrivate() {
    EXPECT_EQ(0700, ModeOf(data_dir_));
    int files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(data_dir_)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      EXPECT_EQ(0600, ModeOf(entry.path())) << entry.path();
    }
    EXPECT_LE(5, files);  // database, -wal, -shm, lock, picture
  }

  TemporaryFolder folder_;
  const fs::path data_dir_ = fs::path(folder_.path()) / "data";
  mode_t former_ = 0;
};

TEST_F(PermissionsTest, WhatIsStoredIsForThisUserAlone) { ServeOnce(); }

TEST_F(PermissionsTest, AnOlderDataDirectoryIsMended) {
  ServeOnce();
  const fs::path result = data_dir_ / "artefacts" / "aa" / "aa.mp4";
  fs::create_directories(result.parent_path());
  std::ofstream(result) << "video";
  for (const auto& entry : fs::recursive_directory_iterator(data_dir_)) {
    chmod(entry.path().c_str(), entry.is_directory() ? 0755 : 0644);
  }
  chmod(data_dir_.c_str(), 0755);
  ServeOnce();
  EXPECT_EQ(0700, ModeOf(result.parent_path()));
}

// It may be a home, or /tmp.
TEST_F(PermissionsTest, AFolderOfOtherThingsKeepsItsRights) {
  fs::create_directories(data_dir_ / "photos");
  std::ofstream(data_dir_ / "program") << "#!/bin/sh";
  chmod((data_dir_ / "program").c_str(), 0755);
  ASSERT_TRUE(DataDirLock::Take(data_dir_.string()).ok());
  EXPECT_EQ(0777, ModeOf(data_dir_));
  EXPECT_EQ(0777, ModeOf(data_dir_ / "photos"));
  EXPECT_EQ(0755, ModeOf(data_dir_ / "program"));
  EXPECT_EQ(0600, ModeOf(data_dir_ / "lock"));
}

}  // namespace
}  // namespace cogwheel
