#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/job_store.h"
#include "server/store/sqlite/sqlite.h"

// What leaves the store, in the caller's transaction.
namespace cogwheel {

// True while a job owns the artefact.
absl::StatusOr<bool> OwnsResult(Connection& connection, const std::string& sha256);
// A finished job; its key stays until it is too old.
absl::Status RemoveJob(Connection& connection, const std::string& name, Removed& removed);
// On the connection that counts what is kept (kept_counts.h).
absl::StatusOr<Removed> TrimStore(Connection& connection, const Retention& retention);

}  // namespace cogwheel
