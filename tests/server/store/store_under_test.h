#pragma once

#include <memory>
#include <string>

#include "server/job/job_store.h"
#include "server/metrics/server_metrics.h"
#include "tests/support/blocking_store.h"

namespace cogwheel {

// A store that the suites run over, with what it stands on.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual BlockingStore store() = 0;
  // As a new process finds it, before Adopt. A store in memory stays as it is.
  virtual void Reopen() = 0;
  // Puts the file of a result in its place.
  virtual void AddResult(const Artefact& result) = 0;
};

std::unique_ptr<StoreUnderTest> MakeMemoryStore();
std::unique_ptr<StoreUnderTest> MakeSqliteStore();
// Leaves the syncs of the database out, for long histories. One at a time.
std::unique_ptr<StoreUnderTest> MakeUnsyncedSqliteStore();

// A folder that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Puts the file of a result under a data directory.
void WriteResultFile(const std::string& data_dir, const Artefact& result);

// Waits for the answer.
absl::StatusOr<CreatedJob> CreateAndWait(JobStore& store, NewJob job);

// The end of the job's current attempt; a success has `result`.
FinishedJob EndOf(const Job& job, JobState state, const Artefact& result = {3, "aa", "video/mp4"});

}  // namespace cogwheel
