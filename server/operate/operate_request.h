#pragma once

#include <chrono>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cogwheel/v1/operate_service.pb.h"
#include "server/job/operate_store.h"

// What OperateService's requests may hold. Errors are INVALID_ARGUMENT with field, value and what
// is legal. Pure.
namespace cogwheel {

// A name that somebody else gave: of a group, a model or a tenant.
absl::Status CheckName(const std::string& field, const std::string& name);
// With `least` bytes at least; one line, as it is told to whose jobs it is about.
absl::Status CheckReason(const std::string& reason, size_t least);

template <typename Request>
absl::StatusOr<PauseTarget> TargetOf(const Request& request);

// The end of what is purged.
absl::StatusOr<Job::WallTime> PurgedBefore(const v1::PurgeRequest& request, Job::WallTime now);
// The name that a backup gets.
absl::StatusOr<std::string> BackupName(const v1::BackupRequest& request, Job::WallTime now);

struct UsageWindow {
  Job::WallTime from{}, to{};
};
// The hours that began from `from`, a whole one, on and before `to`.
absl::StatusOr<UsageWindow> WindowOf(const v1::GetUsageRequest& request, Job::WallTime now);

}  // namespace cogwheel
