#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/operate_store.h"
#include "server/store/sqlite/sqlite.h"

// Rows of what operators want, and what they take out of the store, in the caller's transaction.
namespace cogwheel {

absl::Status InsertDrained(Connection& connection, const std::string& group, Job::WallTime now);
absl::Status DeleteDrained(Connection& connection, const std::string& group);
// Over an earlier reason.
absl::Status InsertPaused(Connection& connection, const PauseTarget& target,
                          const std::string& reason, Job::WallTime now);
absl::Status DeletePaused(Connection& connection, const PauseTarget& target);
absl::StatusOr<OperatorOrders> ReadOrders(Connection& connection);

// These as OperateStore says.
absl::Status RetireModel(Connection& connection, const std::string& name);
absl::StatusOr<Removed> PurgeJobs(Connection& connection, const PurgeOrder& order);

}  // namespace cogwheel
