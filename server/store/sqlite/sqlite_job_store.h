#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/job/job_store.h"
#include "server/metrics/server_metrics.h"
#include "server/store/files/input_files.h"
#include "server/store/sqlite/reader_pool.h"
#include "server/store/sqlite/store_writer.h"

namespace cogwheel {

// Jobs in <data-dir>/cogwheel.sqlite: write-ahead log, synced at every commit, images beside it in
// inputs/. Writes go through one thread and are durable when they return; reads see the last commit
// and wait for no write. A failed sync ends the process (exit code 74). Thread-safe.
class SqliteJobStore final : public JobStore {
 public:
  struct Options {
    std::string data_dir;  // held by a DataDirLock
    std::string vfs;       // a registered file system of SQLite; empty = the default one
  };
  // Checks the file, migrates it and sweeps inputs/. FAILED_PRECONDITION, naming the file, when it
  // is damaged or of a newer program.
  static absl::StatusOr<std::unique_ptr<SqliteJobStore>> Open(const Options& options,
                                                              ServerMetrics& metrics);

  absl::StatusOr<std::vector<Job>> Recover() override;
  // `done` must not wait for another write.
  void Create(NewJob job, std::function<void(absl::StatusOr<CreatedJob>)> done) override;
  absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                     const std::string& request_id,
                                                     const std::string& hash) const override;
  absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const override;
  absl::StatusOr<JobPage> List(const JobQuery& query) const override;
  // DATA_LOSS (CHECKSUM) when the image is not what was stored; the job stays QUEUED.
  absl::StatusOr<Job> Claim(const std::string& name, const std::string& group, int64_t epoch,
                            Job::WallTime start_time) override;
  absl::Status Warn(const JobWarnings& known) override;
  absl::StatusOr<Job> Requeue(const LostAttempt& lost) override;
  absl::StatusOr<Job> Finish(const FinishedJob& finished) override;
  absl::StatusOr<Job> RequestCancel(const std::string& name) override;
  absl::StatusOr<Removed> Delete(const std::string& name) override;
  absl::StatusOr<Removed> Trim(const Retention& retention) override;
  absl::StatusOr<bool> Owns(const std::string& sha256) const override;
  absl::StatusOr<JobTotals> Totals() const override;
  absl::Status Probe() override;
  absl::StatusOr<int64_t> NextEpoch() override;
  absl::Status PutModel(const v1::Model& model) override;
  absl::StatusOr<std::vector<v1::Model>> Models() const override;

 private:
  struct Paths {
    std::string data_dir;
    std::string database;
  };
  struct Parts {
    std::unique_ptr<Connection> writer;
    std::unique_ptr<ReaderPool> readers;
    InputFiles inputs;
  };
  SqliteJobStore(Paths paths, Parts parts, ServerMetrics& metrics);

  // Both on the writer's thread.
  absl::StatusOr<CreatedJob> Insert(Connection& connection, const NewJob& given);
  void AfterCommits(Connection& connection);
  void ShowSizes();

  const Paths paths_;
  ServerMetrics& metrics_;
  const std::unique_ptr<ReaderPool> readers_;
  const InputFiles inputs_;
  std::vector<std::string> released_inputs_;  // of the writer's thread: perhaps nobody's now
  StoreWriter writer_;
};

}  // namespace cogwheel
