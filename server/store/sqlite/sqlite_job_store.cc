#include "server/store/sqlite/sqlite_job_store.h"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <absl/strings/str_cat.h>

#include "server/job/fault.h"
#include "server/job/job_errors.h"
#include "server/job/store_error.h"
#include "server/store/files/durable_files.h"
#include "server/store/sqlite/job_removal.h"
#include "server/store/sqlite/job_table.h"
#include "server/store/sqlite/kept_counts.h"
#include "server/store/sqlite/key_table.h"
#include "server/store/sqlite/model_table.h"
#include "server/store/sqlite/store_schema.h"
#include "server/store/sqlite/usage_table.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

// Of a start: a file that cannot be used is for the operator to see to.
absl::Status Refusal(const absl::Status& status) {
  return IsStoreFault(status) ? absl::FailedPreconditionError(StoreDetail(status)) : status;
}

// One more than the last time.
absl::StatusOr<int64_t> Count(Connection& connection, const char* name) {
  return connection.Number(
      "INSERT INTO counters (name, value) VALUES (?1, 1)"
      " ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
      name);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteJobStore>> SqliteJobStore::Open(const Options& options,
                                                                     ServerMetrics& metrics) {
  const std::string path = absl::StrCat(options.data_dir, "/cogwheel.sqlite");
  const absl::Status made = MakePrivateFile(path);  // SQLite gives the log the file's rights
  if (!made.ok()) return Refusal(made);
  auto writer = Connection::Open(path, options.vfs, Connection::Mode::kWrite);
  if (!writer.ok()) return Refusal(writer.status());
  absl::Status prepared = PrepareSchema(**writer, path);
  if (prepared.ok()) prepared = CountKept(**writer);
  if (!prepared.ok()) return Refusal(prepared);
  const absl::Status synced = SyncFolder(options.data_dir);  // the names of file and log
  if (!synced.ok()) return synced;
  auto readers = ReaderPool::Open(path, options.vfs);
  if (!readers.ok()) return readers.status();
  Parts parts{*std::move(writer), *std::move(readers)};
  return std::unique_ptr<SqliteJobStore>(
      new SqliteJobStore({options.data_dir, path}, std::move(parts), metrics));
}

SqliteJobStore::SqliteJobStore(Paths paths, Parts parts, ServerMetrics& metrics)
    : paths_(std::move(paths)),
      metrics_(metrics),
      readers_(std::move(parts.readers)),
      writer_({std::move(parts.writer), metrics, [this](Connection&) { ShowSizes(); }}) {}

void SqliteJobStore::ShowSizes() {
  std::error_code error;
  const std::string& database = paths_.database;
  metrics_.store_bytes.Set(static_cast<double>(fs::file_size(database, error)));
  metrics_.store_wal_bytes.Set(static_cast<double>(fs::file_size(database + "-wal", error)));
  metrics_.store_free_bytes.Set(static_cast<double>(fs::space(paths_.data_dir, error).available));
}

template <typename Value>
void SqliteJobStore::Write(const char* operation,
                           std::function<absl::StatusOr<Value>(Connection&)> change,
                           Answer<Value> done, StoreWriter::Origin origin) {
  PostFor<Value>(writer_, operation, std::move(change), std::move(done), origin);
}

void SqliteJobStore::Adopt(Answer<std::vector<Job>> done) {
  Write<std::vector<Job>>("Adopt", RequeueUnfinished, std::move(done));
}

void SqliteJobStore::Create(NewJob job, Answer<CreatedJob> done) {
  Write<CreatedJob>(
      "Create", [job = std::move(job)](Connection& connection) { return Insert(connection, job); },
      [this, done = std::move(done)](absl::StatusOr<CreatedJob> created) {
        if (created.ok() && !created->existed) queued_(created->job);
        done(std::move(created));
      },
      StoreWriter::Origin::kCaller);
}

absl::StatusOr<CreatedJob> SqliteJobStore::Insert(Connection& connection, const NewJob& given) {
  const Job& job = given.job;
  if (!given.request_id.empty()) {
    absl::StatusOr<std::optional<Job>> first =
        JobOfKey(connection, job.tenant, given.request_id, given.request_hash);
    if (!first.ok()) return first.status();
    if (first->has_value()) return CreatedJob{**std::move(first), /*existed=*/true};
  }
  absl::Status status = InsertJob(connection, job);
  if (status.ok() && !given.request_id.empty()) status = InsertKey(connection, given);
  if (status.ok()) status = CountJob(connection, job, std::nullopt);
  if (!status.ok()) return status;
  return CreatedJob{job};
}

absl::StatusOr<std::optional<Job>> SqliteJobStore::FindByRequestId(const std::string& tenant,
                                                                   const std::string& request_id,
                                                                   const std::string& hash) const {
  return readers_->Read(
      [&](Connection& connection) { return JobOfKey(connection, tenant, request_id, hash); });
}

absl::StatusOr<Job> SqliteJobStore::Get(const std::string& tenant, const std::string& name) const {
  return readers_->Read([&](Connection& connection) { return OwnJob(connection, tenant, name); });
}

absl::StatusOr<JobPage> SqliteJobStore::List(const JobQuery& query) const {
  return readers_->Read([&](Connection& connection) { return ListJobs(connection, query); });
}

void SqliteJobStore::ClaimNext(ClaimOffer offer, Answer<Job> done) {
  Write<Job>(
      "ClaimNext",
      [offer = std::move(offer)](Connection& connection) -> absl::StatusOr<Job> {
        for (const std::string& name : offer.jobs) {
          const absl::StatusOr<Job> queued = KnownJob(connection, name);
          if (absl::IsNotFound(queued.status())) continue;
          if (!queued.ok()) return queued.status();
          if (queued->state == JobState::kQueued) return Claim(connection, *queued, offer);
        }
        return Fenced(offer.jobs.empty() ? "" : offer.jobs.front());
      },
      std::move(done));
}

absl::StatusOr<Job> SqliteJobStore::Claim(Connection& connection, const Job& queued,
                                          const ClaimOffer& offer) {
  Job job = queued;
  job.state = JobState::kRunning;
  ++job.attempt;
  job.epoch = offer.epoch;
  job.group = offer.group;
  job.start_time = offer.start_time;
  const absl::Status updated = UpdateJob(connection, queued, job);
  if (!updated.ok()) return updated;
  return job;
}

void SqliteJobStore::Warn(JobWarnings known, Done done) {
  writer_.Post(
      "Warn",
      [known = std::move(known)](Connection& connection) {
        return UpdateWarnings(connection, known);
      },
      std::move(done), StoreWriter::Origin::kServer);
}

void SqliteJobStore::Requeue(LostAttempt lost, Answer<Job> done) {
  Write<Job>(
      "Requeue",
      [lost = std::move(lost)](Connection& connection) -> absl::StatusOr<Job> {
        const absl::StatusOr<Job> running =
            CurrentJob(connection, lost.name, lost.epoch, lost.attempt, JobState::kQueued);
        if (!running.ok()) return running.status();
        Job job = *running;
        job.state = JobState::kQueued;
        job.error = lost.cause;
        if (lost.charged) ++job.charges;
        absl::Status updated = UpdateJob(connection, *running, job);
        if (updated.ok()) updated = AddUsage(connection, job, lost.end_time, lost.gpu_seconds);
        if (!updated.ok()) return updated;
        return job;
      },
      std::move(done));
}

void SqliteJobStore::Finish(FinishedJob finished, Answer<Job> done) {
  Write<Job>(
      "Finish",
      [finished = std::move(finished)](Connection& connection) {
        return End(connection, finished);
      },
      std::move(done));
}

absl::StatusOr<Job> SqliteJobStore::End(Connection& connection, const FinishedJob& finished) {
  const absl::StatusOr<Job> current =
      CurrentJob(connection, finished.name, finished.epoch, finished.attempt, finished.state);
  if (!current.ok()) return current.status();
  Job job = *current;
  job.state = finished.state;
  job.error = finished.error;
  job.result = finished.result;
  job.stage_seconds = finished.stage_seconds;
  job.end_time = finished.end_time;
  job.last_sequence = finished.last_sequence;
  absl::Status updated = UpdateJob(connection, *current, job);
  if (updated.ok()) updated = CountJob(connection, job, job.state);
  if (updated.ok()) updated = AddUsage(connection, job, *job.end_time, finished.gpu_seconds);
  if (!updated.ok()) return updated;
  return job;
}

void SqliteJobStore::RequestCancel(std::string tenant, std::string name, Answer<Job> done) {
  Write<Job>(
      "RequestCancel",
      [tenant = std::move(tenant),
       name = std::move(name)](Connection& connection) -> absl::StatusOr<Job> {
        const absl::StatusOr<Job> known = OwnJob(connection, tenant, name);
        if (!known.ok() || IsTerminal(known->state) || known->cancel_requested) return known;
        Job job = *known;
        job.cancel_requested = true;
        const absl::Status updated = UpdateJob(connection, *known, job);
        if (!updated.ok()) return updated;
        return job;
      },
      std::move(done), StoreWriter::Origin::kCaller);
}

void SqliteJobStore::Delete(std::string tenant, std::string name, Answer<Removed> done) {
  Write<Removed>(
      "Delete",
      [tenant = std::move(tenant),
       name = std::move(name)](Connection& connection) -> absl::StatusOr<Removed> {
        const absl::StatusOr<Job> job = OwnJob(connection, tenant, name);
        if (!job.ok()) return job.status();
        if (!IsTerminal(job->state)) return NotFinished(*job);
        Removed removed;
        const absl::Status gone = RemoveJob(connection, name, removed);
        if (!gone.ok()) return gone;
        return removed;
      },
      std::move(done), StoreWriter::Origin::kCaller);
}

void SqliteJobStore::Trim(Retention retention, Answer<Removed> done) {
  Write<Removed>(
      "Trim",
      [this, retention](Connection& connection) {
        absl::StatusOr<Removed> removed = TrimStore(connection, retention);
        if (removed.ok()) {
          metrics_.store_artefacts_expired_total.Increment(
              {}, static_cast<double>(removed->orphans.size()));
        }
        return removed;
      },
      std::move(done));
}

absl::StatusOr<bool> SqliteJobStore::Owns(const std::string& sha256) const {
  return readers_->Read([&](Connection& connection) { return OwnsResult(connection, sha256); });
}

absl::StatusOr<bool> SqliteJobStore::WantsInput(const std::string& sha256) const {
  return readers_->Read([&](Connection& connection) -> absl::StatusOr<bool> {
    const absl::StatusOr<bool> kept = IsKept(connection, sha256);
    return kept.ok() && !*kept ? InputWanted(connection, sha256) : kept;
  });
}

absl::StatusOr<JobTotals> SqliteJobStore::Totals() const { return readers_->Read(ReadTotals); }

absl::StatusOr<std::vector<TenantUsage>> SqliteJobStore::Usage(const UsageQuery& query) const {
  return readers_->Read([&](Connection& connection) { return ReadUsage(connection, query); });
}

void SqliteJobStore::Probe(Done done) {
  writer_.Post(
      "Probe", [](Connection& connection) { return Count(connection, "probe").status(); },
      std::move(done), StoreWriter::Origin::kServer);
}

void SqliteJobStore::NewEpoch(v1::Model model, Answer<int64_t> done) {
  Write<int64_t>(
      "NewEpoch",
      [model = std::move(model)](Connection& connection) -> absl::StatusOr<int64_t> {
        const absl::Status kept = InsertModel(connection, model);
        if (!kept.ok()) return kept;
        return Count(connection, "epoch");
      },
      std::move(done));
}

absl::StatusOr<std::vector<v1::Model>> SqliteJobStore::Models() const {
  return readers_->Read(ReadModels);
}

}  // namespace cogwheel
