#include "server/store/sqlite/job_table.h"

#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "proto/contract/status.h"
#include "server/job/job_errors.h"

namespace cogwheel {
namespace {

// Reads one after the other and is the order of everything below.
#define COGWHEEL_JOB_COLUMNS                                                              \
  "name, tenant, state, attempt, epoch, charges, group_name, request, image_bytes, "      \
  "cancel_requested, create_time, start_time, end_time, error_code, error_reason, "       \
  "error_message, result_bytes, result_sha256, result_media_type, result_expired, "       \
  "text_encode_s, denoise_s, decode_s, encode_s, last_sequence, model_digest, warnings, " \
  "image_sha256, held"

constexpr int kAccepted = -1;  // in place of a total's state

// As the column `state` holds it: never to change, for the files that exist. Unfinished are those
// below 2.
int StateColumn(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return 0;
    case JobState::kRunning:
      return 1;
    case JobState::kSucceeded:
      return 2;
    case JobState::kFailed:
      return 3;
    case JobState::kCancelled:
      return 4;
    case JobState::kExpired:
      return 5;
  }
  return kAccepted;
}

absl::StatusOr<JobState> StateOf(int64_t column) {
  constexpr JobState kStates[] = {JobState::kQueued, JobState::kRunning,   JobState::kSucceeded,
                                  JobState::kFailed, JobState::kCancelled, JobState::kExpired};
  for (const JobState state : kStates) {
    if (StateColumn(state) == column) return state;
  }
  return MakeError(absl::StatusCode::kDataLoss, "STORE",
                   absl::StrCat("a stored job has the state ", column, ", which is unknown"));
}

std::optional<int64_t> NanosOrNone(const std::optional<Job::WallTime>& time) {
  return time.has_value() ? std::optional(ToNanos(*time)) : std::nullopt;
}

// The columns of a row, one after the other.
class RowReader {
 public:
  explicit RowReader(const Statement& row) : row_(row) {}
  int64_t Int() { return row_.Int(column_++); }
  int32_t Small() { return static_cast<int32_t>(Int()); }
  double Real() { return row_.Real(column_++); }
  std::string Text() { return row_.Text(column_++); }
  std::optional<Job::WallTime> Time() {
    const bool none = row_.IsNull(column_);
    const int64_t nanos = Int();
    return none ? std::nullopt : std::optional(FromNanos(nanos));
  }
  std::optional<Artefact> Result() {
    const bool none = row_.IsNull(column_);
    Artefact result{Int(), Text(), Text()};
    return none ? std::nullopt : std::optional(std::move(result));
  }

 private:
  const Statement& row_;
  int column_ = 0;
};

absl::StatusOr<Job> ReadJob(const Statement& statement) {
  RowReader row(statement);
  Job job;
  job.name = row.Text();
  job.tenant = row.Text();
  const absl::StatusOr<JobState> state = StateOf(row.Int());
  if (!state.ok()) return state.status();
  job.state = *state;
  job.attempt = row.Small();
  job.epoch = row.Int();
  job.charges = row.Small();
  job.group = row.Text();
  job.request.ParseFromString(row.Text());
  job.image_bytes = row.Int();
  job.cancel_requested = row.Int() != 0;
  job.create_time = FromNanos(row.Int());
  job.start_time = row.Time();
  job.end_time = row.Time();
  job.error = {static_cast<absl::StatusCode>(row.Int()), row.Text(), row.Text()};
  job.result = row.Result();
  job.result_expired = row.Int() != 0;
  job.stage_seconds = {row.Real(), row.Real(), row.Real(), row.Real()};
  job.last_sequence = row.Int();
  job.model_digest = row.Text();
  job.warnings = absl::StrSplit(row.Text(), '\n', absl::SkipEmpty());
  job.image_sha256 = row.Text();
  job.held = row.Int() != 0;
  return job;
}

absl::StatusOr<std::vector<Job>> ReadJobs(Statement statement) {
  std::vector<Job> jobs;
  for (;;) {
    const absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) return jobs;
    absl::StatusOr<Job> job = ReadJob(statement);
    if (!job.ok()) return job.status();
    jobs.push_back(*std::move(job));
  }
}

}  // namespace

int64_t ToNanos(Job::WallTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

Job::WallTime FromNanos(int64_t nanos) {
  return Job::WallTime(
      std::chrono::duration_cast<Job::WallTime::duration>(std::chrono::nanoseconds(nanos)));
}

absl::Status InsertJob(Connection& connection, const Job& job) {
  return connection.Run(
      "INSERT INTO jobs (name, tenant, state, attempt, epoch, charges, group_name, request,"
      " image_bytes, image_sha256, cancel_requested, create_time, error_code, error_reason,"
      " error_message, result_expired, text_encode_s, denoise_s, decode_s, encode_s,"
      " last_sequence, model_digest, warnings, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
      " ?10, ?11, ?12, 0, '', '', 0, 0, 0, 0, 0, 0, ?13, ?14, ?15)",
      job.name, job.tenant, StateColumn(job.state), job.attempt, job.epoch, job.charges, job.group,
      Bytes{job.request.SerializeAsString()}, job.image_bytes, job.image_sha256,
      job.cancel_requested, ToNanos(job.create_time), job.model_digest,
      absl::StrJoin(job.warnings, "\n"), job.held);
}

absl::StatusOr<std::optional<Job>> FindJob(Connection& connection, const std::string& name) {
  Statement found =
      connection.Query("SELECT " COGWHEEL_JOB_COLUMNS " FROM jobs WHERE name = ?1", name);
  const absl::StatusOr<bool> row = found.Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  return ReadJob(found);
}

absl::StatusOr<Job> KnownJob(Connection& connection, const std::string& name) {
  absl::StatusOr<std::optional<Job>> found = FindJob(connection, name);
  if (!found.ok()) return found.status();
  if (!found->has_value()) return UnknownJob(name);
  return **std::move(found);
}

absl::StatusOr<Job> OwnJob(Connection& connection, const std::string& tenant,
                           const std::string& name) {
  absl::StatusOr<Job> job = KnownJob(connection, name);
  if (job.ok() && job->tenant != tenant) return UnknownJob(name);
  return job;
}

absl::StatusOr<Job> CurrentJob(Connection& connection, const std::string& name, int64_t epoch,
                               int32_t attempt, JobState state) {
  absl::StatusOr<Job> job = KnownJob(connection, name);
  if (!job.ok()) return job.status();
  const bool current = job->epoch == epoch && job->attempt == attempt;
  if (!current || !IsLegalTransition(job->state, state)) return Fenced(name);
  return job;
}

absl::StatusOr<bool> InputWanted(Connection& connection, const std::string& sha256) {
  const absl::StatusOr<int64_t> wanted = connection.Number(
      "SELECT EXISTS (SELECT 1 FROM jobs WHERE image_sha256 = ?1 AND state < 2)", sha256);
  if (!wanted.ok()) return wanted.status();
  return *wanted != 0;
}

absl::StatusOr<JobPage> ListJobs(Connection& connection, const JobQuery& query) {
  constexpr const char* kAfterAllNames = "jobs0";  // names begin with jobs/
  const std::string before = query.before_name.empty() ? kAfterAllNames : query.before_name;
  int64_t states = query.states.empty() ? -1 : 0;  // one bit a state
  for (const JobState state : query.states) states |= int64_t{1} << StateColumn(state);
  absl::StatusOr<std::vector<Job>> jobs = ReadJobs(
      connection.Query("SELECT " COGWHEEL_JOB_COLUMNS
                       " FROM jobs WHERE tenant = ?1 AND name < ?2 AND ((1 << state) & ?3) <> 0"
                       " ORDER BY name DESC LIMIT ?4",
                       query.tenant, before, states, int64_t{query.limit} + 1));
  if (!jobs.ok()) return jobs.status();
  JobPage page{*std::move(jobs)};
  page.more = page.jobs.size() > static_cast<size_t>(query.limit);
  if (page.more) page.jobs.pop_back();
  return page;
}

absl::StatusOr<std::vector<Job>> RequeueUnfinished(Connection& connection) {
  const absl::Status queued =
      connection.Run("UPDATE jobs SET state = 0, attempt = attempt + 1 WHERE state < 2");
  if (!queued.ok()) return queued;
  return ReadJobs(
      connection.Query("SELECT " COGWHEEL_JOB_COLUMNS " FROM jobs WHERE state < 2 ORDER BY name"));
}

absl::Status UpdateJob(Connection& connection, const Job& before, const Job& after) {
  const std::optional<Artefact>& result = after.result;
  const Artefact none;
  const Artefact& kept = result.has_value() ? *result : none;
  const absl::Status updated = connection.Run(
      "UPDATE jobs SET state = ?5, attempt = ?6, epoch = ?7, charges = ?8, group_name = ?9,"
      " cancel_requested = ?10, start_time = ?11, end_time = ?12, error_code = ?13,"
      " error_reason = ?14, error_message = ?15, result_bytes = ?16,"
      " result_sha256 = NULLIF(?17, ''), result_media_type = NULLIF(?18, ''),"
      " text_encode_s = ?19, denoise_s = ?20, decode_s = ?21, encode_s = ?22,"
      " last_sequence = ?23"
      " WHERE name = ?1 AND state = ?2 AND epoch = ?3 AND attempt = ?4",
      before.name, StateColumn(before.state), before.epoch, before.attempt,
      StateColumn(after.state), after.attempt, after.epoch, after.charges, after.group,
      after.cancel_requested, NanosOrNone(after.start_time), NanosOrNone(after.end_time),
      static_cast<int>(after.error.code), after.error.reason, after.error.message,
      result.has_value() ? std::optional(kept.size_bytes) : std::nullopt, kept.sha256,
      kept.media_type, after.stage_seconds.text_encode, after.stage_seconds.denoise,
      after.stage_seconds.decode, after.stage_seconds.encode, after.last_sequence);
  if (!updated.ok()) return updated;
  return connection.changed_rows() == 1 ? absl::OkStatus() : Fenced(before.name);
}

absl::Status UpdateWarnings(Connection& connection, const JobWarnings& known) {
  const absl::Status updated = connection.Run(
      "UPDATE jobs SET warnings = ?4 WHERE name = ?1 AND epoch = ?2 AND attempt = ?3", known.name,
      known.epoch, known.attempt, absl::StrJoin(known.warnings, "\n"));
  if (!updated.ok()) return updated;
  return connection.changed_rows() == 1 ? absl::OkStatus() : Fenced(known.name);
}

absl::Status CountJob(Connection& connection, const Job& job, std::optional<JobState> state) {
  const bool failed = state == JobState::kFailed;
  return connection.Run(
      "INSERT INTO totals (model, tenant, state, reason, count) VALUES (?1, ?2, ?3, ?4, 1)"
      " ON CONFLICT DO UPDATE SET count = count + 1",
      job.request.model(), job.tenant, state.has_value() ? StateColumn(*state) : kAccepted,
      failed ? job.error.reason : "");
}

absl::StatusOr<JobTotals> ReadTotals(Connection& connection) {
  Statement totals = connection.Query("SELECT model, tenant, state, reason, count FROM totals");
  JobTotals read;
  for (;;) {
    const absl::StatusOr<bool> row = totals.Step();
    if (!row.ok()) return row.status();
    if (!*row) return read;
    const int64_t state = totals.Int(2);
    JobTotals::Key key{totals.Text(0), totals.Text(1), std::nullopt, totals.Text(3)};
    if (state != kAccepted) {
      const absl::StatusOr<JobState> known = StateOf(state);
      if (!known.ok()) return known.status();
      key.state = *known;
    }
    read.counts[key] = totals.Int(4);
  }
}

}  // namespace cogwheel
