#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "server/job/job.h"

// What a store keeps, and whose things go when there are too many.
namespace cogwheel {

// Of finished jobs, or of the bytes of results.
struct KeepLimit {
  struct Tenant {
    int64_t most = 0;
    double share = 0;  // of `total`: below it nobody loses anything to another tenant
  };
  int64_t total = 0;
  std::map<std::string, Tenant> tenants{};  // who is not named may have all but has no share
};

// The tenant whose oldest goes next: the first that has more than it may; else, when all have too
// much together, the one furthest over its share. nullopt when nothing has to go.
std::optional<std::string> WhoLoses(const KeepLimit& limit,
                                    const std::map<std::string, int64_t>& kept);

struct Retention {
  KeepLimit finished_jobs{10'000};
  KeepLimit result_bytes{int64_t{100} << 30};
  Job::WallTime results_ended_before{};  // these go whatever the limits
  Job::WallTime keys_created_before{};
  Job::WallTime usage_ended_before{};
  int most_removed = 256;  // of each kind at once: writes wait meanwhile
};

}  // namespace cogwheel
