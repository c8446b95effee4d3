#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/job/job_store.h"
#include "server/metrics/server_metrics.h"
#include "server/store/sqlite/reader_pool.h"
#include "server/store/sqlite/sqlite_input_rows.h"
#include "server/store/sqlite/sqlite_operate_store.h"
#include "server/store/sqlite/store_writer.h"

namespace cogwheel {

// Jobs in <data-dir>/cogwheel.sqlite: write-ahead log, synced at every commit. Writes go through
// one thread and are durable when they answer, on that thread: an answer must not wait for another
// write. Reads see the last commit and wait for no write. A failed sync ends the process (exit code
// 74). Thread-safe.
class SqliteJobStore final : public JobStore {
 public:
  struct Options {
    std::string data_dir;  // held by a DataDirLock
    std::string vfs;       // a registered file system of SQLite; empty = the default one
  };
  // Checks the file and migrates it. FAILED_PRECONDITION, naming the file, when it
  // is damaged or of a newer program.
  static absl::StatusOr<std::unique_ptr<SqliteJobStore>> Open(const Options& options,
                                                              ServerMetrics& metrics);

  OperateStore& operate() { return operate_; }
  InputRows& inputs() { return inputs_; }

  void Adopt(Answer<std::vector<Job>> done) override;
  void Watch(std::function<void(const Job&)> queued) override { queued_ = std::move(queued); }
  void Create(NewJob job, Answer<CreatedJob> done) override;
  void ClaimNext(ClaimOffer offer, Answer<Job> done) override;
  void Warn(JobWarnings known, Done done) override;
  void Requeue(LostAttempt lost, Answer<Job> done) override;
  void Finish(FinishedJob finished, Answer<Job> done) override;
  void RequestCancel(std::string tenant, std::string name, Answer<Job> done) override;
  void Delete(std::string tenant, std::string name, Answer<Removed> done) override;
  void Trim(Retention retention, Answer<Removed> done) override;
  void Probe(Done done) override;
  void NewEpoch(v1::Model model, Answer<int64_t> done) override;
  absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                     const std::string& request_id,
                                                     const std::string& hash) const override;
  absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const override;
  absl::StatusOr<JobPage> List(const JobQuery& query) const override;
  absl::StatusOr<bool> Owns(const std::string& sha256) const override;
  absl::StatusOr<bool> WantsInput(const std::string& sha256) const override;
  absl::StatusOr<JobTotals> Totals() const override;
  absl::StatusOr<std::vector<TenantUsage>> Usage(const UsageQuery& query) const override;
  absl::StatusOr<std::vector<v1::Model>> Models() const override;

 private:
  struct Paths {
    std::string data_dir;
    std::string database;
  };
  struct Parts {
    std::unique_ptr<Connection> writer;
    std::unique_ptr<ReaderPool> readers;
  };
  SqliteJobStore(Paths paths, Parts parts, ServerMetrics& metrics);

  template <typename Value>
  void Write(const char* operation, std::function<absl::StatusOr<Value>(Connection&)> change,
             Answer<Value> done, StoreWriter::Origin origin = StoreWriter::Origin::kServer);
  // On the writer's thread.
  static absl::StatusOr<CreatedJob> Insert(Connection& connection, const NewJob& given);
  static absl::StatusOr<Job> Claim(Connection& connection, const Job& queued,
                                   const ClaimOffer& offer);
  static absl::StatusOr<Job> End(Connection& connection, const FinishedJob& finished);
  void ShowSizes();

  const Paths paths_;
  ServerMetrics& metrics_;
  const std::unique_ptr<ReaderPool> readers_;
  std::function<void(const Job&)> queued_ = [](const Job&) {};
  StoreWriter writer_;
  SqliteOperateStore operate_{{paths_.database, writer_, *readers_}};
  SqliteInputRows inputs_{writer_, *readers_};
};

}  // namespace cogwheel
