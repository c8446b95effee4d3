#pragma once

#include <optional>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/usage.h"
#include "server/store/sqlite/sqlite.h"

// Hours of what tenants used, in the caller's transaction.
namespace cogwheel {

// An attempt of `job` that ended at `time`. The job's end is counted unless it is to run again.
absl::Status AddUsage(Connection& connection, const Job& job, Job::WallTime time,
                      double gpu_seconds);
// By tenant, then model.
absl::StatusOr<std::vector<TenantUsage>> ReadUsage(Connection& connection, const UsageQuery& query);
absl::Status ForgetUsage(Connection& connection, Job::WallTime before);

}  // namespace cogwheel
