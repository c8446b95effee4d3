#include "server/store/sqlite/sqlite_job_store.h"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/sha256.h"
#include "server/job/job_errors.h"
#include "server/store/files/durable_files.h"
#include "server/store/files/result_files.h"
#include "server/store/sqlite/job_removal.h"
#include "server/store/sqlite/job_table.h"
#include "server/store/sqlite/key_table.h"
#include "server/store/sqlite/model_table.h"
#include "server/store/sqlite/store_schema.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

// Of a start: a file that cannot be used is for the operator to see to.
absl::Status Refusal(const absl::Status& status) {
  return absl::IsUnavailable(status) ? absl::FailedPreconditionError(status.message()) : status;
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
  absl::StatusOr<InputFiles> inputs = InputFiles::Open(options.data_dir);
  if (!inputs.ok()) return inputs.status();
  const std::string path = absl::StrCat(options.data_dir, "/cogwheel.sqlite");
  auto writer = Connection::Open(path, options.vfs, Connection::Mode::kWrite);
  if (!writer.ok()) return Refusal(writer.status());
  const absl::Status prepared = PrepareSchema(**writer, path);
  if (!prepared.ok()) return Refusal(prepared);
  const absl::Status synced = SyncFolder(options.data_dir);  // the names of file and log
  if (!synced.ok()) return synced;
  const absl::Status swept =
      inputs->Sweep([&writer](const std::string& sha256) { return InputWanted(**writer, sha256); });
  if (!swept.ok()) return swept;
  auto readers = ReaderPool::Open(path, options.vfs);
  if (!readers.ok()) return readers.status();
  Parts parts{*std::move(writer), *std::move(readers), *std::move(inputs)};
  return std::unique_ptr<SqliteJobStore>(
      new SqliteJobStore({options.data_dir, path}, std::move(parts), metrics));
}

SqliteJobStore::SqliteJobStore(Paths paths, Parts parts, ServerMetrics& metrics)
    : paths_(std::move(paths)),
      metrics_(metrics),
      readers_(std::move(parts.readers)),
      inputs_(std::move(parts.inputs)),
      writer_({std::move(parts.writer), metrics,
               [this](Connection& connection) { AfterCommits(connection); }}) {}

void SqliteJobStore::AfterCommits(Connection& connection) {
  for (const std::string& sha256 : std::exchange(released_inputs_, {})) {
    const absl::StatusOr<bool> wanted = InputWanted(connection, sha256);
    if (wanted.ok() && !*wanted) inputs_.Remove(sha256);
  }
  ShowSizes();
}

void SqliteJobStore::ShowSizes() {
  std::error_code error;
  const std::string& database = paths_.database;
  metrics_.store_bytes.Set(static_cast<double>(fs::file_size(database, error)));
  metrics_.store_wal_bytes.Set(static_cast<double>(fs::file_size(database + "-wal", error)));
  metrics_.store_free_bytes.Set(static_cast<double>(fs::space(paths_.data_dir, error).available));
}

absl::StatusOr<std::vector<Job>> SqliteJobStore::Recover() {
  absl::StatusOr<std::vector<Job>> unfinished;
  const absl::Status done = writer_.Run("Recover", [&](Connection& connection) {
    unfinished = RequeueUnfinished(connection);
    return unfinished.status();
  });
  if (!done.ok()) return done;
  return unfinished;
}

void SqliteJobStore::Create(NewJob job, std::function<void(absl::StatusOr<CreatedJob>)> done) {
  auto created = std::make_shared<CreatedJob>();
  writer_.Post(
      "Create",
      [this, created, job = std::move(job)](Connection& connection) {
        absl::StatusOr<CreatedJob> inserted = Insert(connection, job);
        if (inserted.ok()) *created = *std::move(inserted);
        return inserted.status();
      },
      [created, done = std::move(done)](absl::Status status) {
        if (!status.ok()) return done(std::move(status));
        done(std::move(*created));
      });
}

absl::StatusOr<CreatedJob> SqliteJobStore::Insert(Connection& connection, const NewJob& given) {
  const Job& job = given.job;
  if (!given.request_id.empty()) {
    absl::StatusOr<std::optional<Job>> first =
        JobOfKey(connection, job.tenant, given.request_id, given.request_hash);
    if (!first.ok()) return first.status();
    if (first->has_value()) return CreatedJob{**std::move(first), /*existed=*/true};
  }
  std::string input;
  if (job.image != nullptr) {  // durable before the row that names it
    input = Sha256Hex(*job.image);
    released_inputs_.push_back(input);  // in case there will be no such row
    const absl::Status written = inputs_.Write(input, *job.image);
    if (!written.ok()) return written;
  }
  absl::Status status = InsertJob(connection, job, input);
  if (status.ok() && !given.request_id.empty()) status = InsertKey(connection, given);
  if (status.ok()) status = CountJob(connection, job, std::nullopt);
  if (!status.ok()) return status;
  CreatedJob created{job};
  created.job.image = nullptr;
  return created;
}

absl::StatusOr<std::optional<Job>> SqliteJobStore::FindByRequestId(const std::string& tenant,
                                                                   const std::string& request_id,
                                                                   const std::string& hash) const {
  return readers_->Read(
      [&](Connection& connection) { return JobOfKey(connection, tenant, request_id, hash); });
}

absl::StatusOr<Job> SqliteJobStore::Get(const std::string& tenant, const std::string& name) const {
  absl::StatusOr<Job> job =
      readers_->Read([&name](Connection& connection) { return KnownJob(connection, name); });
  if (job.ok() && job->tenant != tenant) return UnknownJob(name);
  return job;
}

absl::StatusOr<JobPage> SqliteJobStore::List(const JobQuery& query) const {
  return readers_->Read([&](Connection& connection) { return ListJobs(connection, query); });
}

absl::StatusOr<Job> SqliteJobStore::Claim(const std::string& name, const std::string& group,
                                          int64_t epoch, Job::WallTime start_time) {
  Job job;
  const absl::Status done = writer_.Run("Claim", [&](Connection& connection) {
    const absl::StatusOr<Job> queued = KnownJob(connection, name);
    if (!queued.ok()) return queued.status();
    if (!IsLegalTransition(queued->state, JobState::kRunning)) return Fenced(name);
    job = *queued;
    job.state = JobState::kRunning;
    ++job.attempt;
    job.epoch = epoch;
    job.group = group;
    job.start_time = start_time;
    const absl::StatusOr<std::string> input = InputOf(connection, name);
    if (!input.ok()) return input.status();
    if (!input->empty()) {
      absl::StatusOr<std::string> image = inputs_.Read(*input);
      if (absl::IsDataLoss(image.status())) metrics_.store_checksum_failures_total.Increment();
      if (!image.ok()) return image.status();
      job.image = std::make_shared<const std::string>(*std::move(image));
    }
    return UpdateJob(connection, *queued, job);
  });
  if (!done.ok()) return done;
  return job;
}

absl::Status SqliteJobStore::Warn(const JobWarnings& known) {
  return writer_.Run(
      "Warn", [&known](Connection& connection) { return UpdateWarnings(connection, known); });
}

absl::StatusOr<Job> SqliteJobStore::Requeue(const LostAttempt& lost) {
  Job job;
  const absl::Status done = writer_.Run("Requeue", [&](Connection& connection) {
    const absl::StatusOr<Job> running =
        CurrentJob(connection, lost.name, lost.epoch, lost.attempt, JobState::kQueued);
    if (!running.ok()) return running.status();
    job = *running;
    job.state = JobState::kQueued;
    job.error = lost.cause;
    if (lost.charged) ++job.charges;
    return UpdateJob(connection, *running, job);
  });
  if (!done.ok()) return done;
  return job;
}

absl::StatusOr<Job> SqliteJobStore::Finish(const FinishedJob& finished) {
  Job job;
  const absl::Status done = writer_.Run("Finish", [&](Connection& connection) {
    const absl::StatusOr<Job> current =
        CurrentJob(connection, finished.name, finished.epoch, finished.attempt, finished.state);
    if (!current.ok()) return current.status();
    if (finished.result.has_value()) {
      const absl::Status there = CheckResultFile(paths_.data_dir, *finished.result);
      if (!there.ok()) return there;
    }
    job = *current;
    job.state = finished.state;
    job.error = finished.error;
    job.result = finished.result;
    job.stage_seconds = finished.stage_seconds;
    job.end_time = finished.end_time;
    job.last_sequence = finished.last_sequence;
    const absl::StatusOr<std::string> input = InputOf(connection, job.name);
    if (!input.ok()) return input.status();
    if (!input->empty()) released_inputs_.push_back(*input);
    const absl::Status updated = UpdateJob(connection, *current, job);
    return updated.ok() ? CountJob(connection, job, job.state) : updated;
  });
  if (!done.ok()) return done;
  return job;
}

absl::StatusOr<Job> SqliteJobStore::RequestCancel(const std::string& name) {
  Job job;
  const absl::Status done = writer_.Run("RequestCancel", [&](Connection& connection) {
    const absl::StatusOr<Job> known = KnownJob(connection, name);
    if (!known.ok()) return known.status();
    job = *known;
    if (IsTerminal(job.state)) return absl::OkStatus();
    job.cancel_requested = true;
    return UpdateJob(connection, *known, job);
  });
  if (!done.ok()) return done;
  return job;
}

absl::StatusOr<Removed> SqliteJobStore::Delete(const std::string& name) {
  Removed removed;
  const absl::Status done = writer_.Run("Delete", [&](Connection& connection) {
    const absl::StatusOr<Job> job = KnownJob(connection, name);
    if (!job.ok()) return job.status();
    if (!IsTerminal(job->state)) return NotFinished(*job);
    return RemoveJob(connection, name, removed);
  });
  if (!done.ok()) return done;
  return removed;
}

absl::StatusOr<Removed> SqliteJobStore::Trim(const Retention& retention) {
  absl::StatusOr<Removed> removed;
  const absl::Status done = writer_.Run("Trim", [&](Connection& connection) {
    removed = TrimStore(connection, retention);
    return removed.status();
  });
  if (!done.ok()) return done;
  metrics_.store_artefacts_expired_total.Increment({},
                                                   static_cast<double>(removed->orphans.size()));
  return removed;
}

absl::StatusOr<bool> SqliteJobStore::Owns(const std::string& sha256) const {
  return readers_->Read([&](Connection& connection) { return OwnsResult(connection, sha256); });
}

absl::StatusOr<JobTotals> SqliteJobStore::Totals() const { return readers_->Read(ReadTotals); }

absl::Status SqliteJobStore::Probe() {
  return writer_.Run("Probe",
                     [](Connection& connection) { return Count(connection, "probe").status(); });
}

absl::StatusOr<int64_t> SqliteJobStore::NextEpoch() {
  absl::StatusOr<int64_t> epoch;
  const absl::Status done = writer_.Run("NextEpoch", [&](Connection& connection) {
    epoch = Count(connection, "epoch");
    return epoch.status();
  });
  if (!done.ok()) return done;
  return epoch;
}

absl::Status SqliteJobStore::PutModel(const v1::Model& model) {
  return writer_.Run("PutModel",
                     [&model](Connection& connection) { return InsertModel(connection, model); });
}

absl::StatusOr<std::vector<v1::Model>> SqliteJobStore::Models() const {
  return readers_->Read(ReadModels);
}

}  // namespace cogwheel
