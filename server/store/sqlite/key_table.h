#pragma once

#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/job_store.h"
#include "server/store/sqlite/sqlite.h"

// Idempotency keys and the jobs they stand for, in the caller's transaction. The key of a job that
// is removed goes from one table into another: it lives as long as it would have.
namespace cogwheel {

// The job of a key, if there is one. ALREADY_EXISTS (KEY_REUSED) when its hash differs, NOT_FOUND
// (UNKNOWN_JOB) when the job is gone.
absl::StatusOr<std::optional<Job>> JobOfKey(Connection& connection, const std::string& tenant,
                                            const std::string& request_id, const std::string& hash);
// Of a job that has one.
absl::Status InsertKey(Connection& connection, const NewJob& given);
// Of a job that is about to be removed, if it has one.
absl::Status KeepKey(Connection& connection, const std::string& job);
absl::Status ForgetKeys(Connection& connection, Job::WallTime created_before);

}  // namespace cogwheel
