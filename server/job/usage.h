#pragma once

#include <cstdint>
#include <string>

#include "server/job/job.h"

// What tenants have used: to bill from, and to hold their quotas against.
namespace cogwheel {

inline constexpr std::chrono::hours kUsageAge{400 * 24};  // for so long it is kept

// The whole hours that began at `from` or in its hour, and before `to`. An attempt belongs to the
// hour in which it ended.
struct UsageQuery {
  Job::WallTime from{}, to{};
  std::string tenant;  // empty = all
};

// Of one tenant on one model.
struct TenantUsage {
  std::string tenant, model;
  double gpu_seconds = 0;  // on groups, times their ranks; also of attempts that were lost
  int64_t succeeded = 0, failed = 0;
  int64_t cancelled = 0;     // with those that expired
  int64_t result_bytes = 0;  // of those that succeeded
  bool operator==(const TenantUsage&) const = default;
};

}  // namespace cogwheel
