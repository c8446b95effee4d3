#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/store/sqlite/sqlite.h"

// How much each tenant keeps, without a look at every job. The counts are the connection's own:
// made when the store opens, never written to the file, and kept true by triggers in its
// transactions.
namespace cogwheel {

struct Kept {
  std::map<std::string, int64_t> finished_jobs, result_bytes;  // by tenant
};

// Begins to count on the connection that alone writes.
absl::Status CountKept(Connection& connection);
absl::StatusOr<Kept> ReadKept(Connection& connection);

}  // namespace cogwheel
