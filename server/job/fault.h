#pragma once

#include <absl/status/status.h>

#include "server/job/job.h"

// Whose fault a failure is. A job is charged for what it may have done, and fails by what it did;
// for the store's failures it waits.
namespace cogwheel {

// True for what the store, its disk or the process's files could not do now.
bool IsStoreFault(const absl::Status& status);
// As clients are told: what failed, without a path.
JobError StoreFaultForClients(const absl::Status& status);

}  // namespace cogwheel
