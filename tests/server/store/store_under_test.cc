#include "tests/server/store/store_under_test.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <utility>

#include <gtest/gtest.h>

#include "server/store/files/result_files.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "tests/server/store/fault_vfs.h"
#include "tests/support/memory_job_store.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

class MemoryUnderTest final : public StoreUnderTest {
 public:
  BlockingStore store() override { return BlockingStore(store_); }
  void Reopen() override {}
  void AddResult(const Artefact&) override {}

 private:
  MemoryJobStore store_;
};

class SqliteUnderTest final : public StoreUnderTest {
 public:
  explicit SqliteUnderTest(bool synced)
      : unsynced_(synced ? nullptr : std::make_unique<FaultVfs>()) {
    Reopen();
  }
  BlockingStore store() override { return BlockingStore(*store_); }
  void Reopen() override {
    store_.reset();
    const std::string vfs = unsynced_ == nullptr ? "" : FaultVfs::kName;
    store_ = SqliteJobStore::Open({.data_dir = folder_.path(), .vfs = vfs}, metrics_).value();
  }
  void AddResult(const Artefact& result) override { WriteResultFile(folder_.path(), result); }

 private:
  const std::unique_ptr<FaultVfs> unsynced_;
  TemporaryFolder folder_;
  ServerMetrics metrics_{MakeRegistry()};
  std::unique_ptr<SqliteJobStore> store_;
};

}  // namespace

std::unique_ptr<StoreUnderTest> MakeMemoryStore() { return std::make_unique<MemoryUnderTest>(); }

std::unique_ptr<StoreUnderTest> MakeSqliteStore() {
  return std::make_unique<SqliteUnderTest>(/*synced=*/true);
}

std::unique_ptr<StoreUnderTest> MakeUnsyncedSqliteStore() {
  return std::make_unique<SqliteUnderTest>(/*synced=*/false);
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = testing::TempDir() + "store_XXXXXX";
  path_ = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() { fs::remove_all(path_); }

void WriteResultFile(const std::string& data_dir, const Artefact& result) {
  const fs::path path = fs::path(data_dir) / ArtefactPath(result);
  fs::create_directories(path.parent_path());
  std::ofstream(path) << std::string(static_cast<size_t>(result.size_bytes), 'x');
}

absl::StatusOr<CreatedJob> CreateAndWait(JobStore& store, NewJob job) {
  std::promise<absl::StatusOr<CreatedJob>> promise;
  store.Create(std::move(job), [&promise](auto created) { promise.set_value(std::move(created)); });
  return promise.get_future().get();
}

FinishedJob EndOf(const Job& job, JobState state, const Artefact& result) {
  FinishedJob finished;
  finished.name = job.name;
  finished.epoch = job.epoch;
  finished.attempt = job.attempt;
  finished.state = state;
  if (state == JobState::kSucceeded) finished.result = result;
  return finished;
}

}  // namespace cogwheel
