#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/job_store.h"
#include "server/store/sqlite/sqlite.h"

// Rows of jobs, read and written on a connection; transactions are the caller's.
namespace cogwheel {

absl::Status InsertJob(Connection& connection, const Job& job);
absl::StatusOr<std::optional<Job>> FindJob(Connection& connection, const std::string& name);
// NOT_FOUND (UNKNOWN_JOB) when there is none.
absl::StatusOr<Job> KnownJob(Connection& connection, const std::string& name);
// As KnownJob; another tenant's is unknown.
absl::StatusOr<Job> OwnJob(Connection& connection, const std::string& tenant,
                           const std::string& name);
// The job if (epoch, attempt) is current and it may go to `state`; else ABORTED (FENCED).
absl::StatusOr<Job> CurrentJob(Connection& connection, const std::string& name, int64_t epoch,
                               int32_t attempt, JobState state);
// True while an unfinished job starts from the image.
absl::StatusOr<bool> InputWanted(Connection& connection, const std::string& sha256);
// Newest first.
absl::StatusOr<JobPage> ListJobs(Connection& connection, const JobQuery& query);
// Makes QUEUED and RUNNING jobs QUEUED, each with its next attempt; returns them in the order of
// their names.
absl::StatusOr<std::vector<Job>> RequeueUnfinished(Connection& connection);

// Writes what may change of a job, if its state, epoch and attempt are still those of `before`:
// ABORTED (FENCED) otherwise.
absl::Status UpdateJob(Connection& connection, const Job& before, const Job& after);

// ABORTED (FENCED) when another attempt is current, or the job is gone.
absl::Status UpdateWarnings(Connection& connection, const JobWarnings& known);

// Adds 1 to a total. No state means accepted.
absl::Status CountJob(Connection& connection, const Job& job, std::optional<JobState> state);
absl::StatusOr<JobTotals> ReadTotals(Connection& connection);

// Nanoseconds since 1970.
int64_t ToNanos(Job::WallTime time);
Job::WallTime FromNanos(int64_t nanos);

}  // namespace cogwheel
