#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/job_store.h"
#include "server/store/sqlite/sqlite.h"

// Rows of jobs, read and written on a connection; transactions are the caller's. Jobs come without
// their image.
namespace cogwheel {

// `image_sha256` is empty without an image.
absl::Status InsertJob(Connection& connection, const Job& job, const std::string& image_sha256);
absl::StatusOr<std::optional<Job>> FindJob(Connection& connection, const std::string& name);
// Newest first.
absl::StatusOr<JobPage> ListJobs(Connection& connection, const JobQuery& query);
// QUEUED and RUNNING ones, in the order of their names.
absl::StatusOr<std::vector<Job>> UnfinishedJobs(Connection& connection);

// Writes what may change of a job, if its state, epoch and attempt are still those of `before`:
// ABORTED (FENCED) otherwise.
absl::Status UpdateJob(Connection& connection, const Job& before, const Job& after);

// Adds 1 to a total. No state means accepted.
absl::Status CountJob(Connection& connection, const Job& job, std::optional<JobState> state);
absl::StatusOr<JobTotals> ReadTotals(Connection& connection);

int64_t ToNanos(Job::WallTime time);  // since 1970

}  // namespace cogwheel
