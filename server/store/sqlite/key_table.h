#pragma once

#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/job_store.h"
#include "server/store/sqlite/sqlite.h"

// Idempotency keys and the jobs they stand for, in the caller's transaction.
namespace cogwheel {

// The job of a key, if there is one; ALREADY_EXISTS (KEY_REUSED) when its hash differs.
absl::StatusOr<std::optional<Job>> JobOfKey(Connection& connection, const std::string& tenant,
                                            const std::string& request_id, const std::string& hash);
// Of a job that has one.
absl::Status InsertKey(Connection& connection, const NewJob& given);

}  // namespace cogwheel
