#pragma once

#include <string>

#include "base/finding.h"

namespace cogwheel {

// What is to be said of a data directory, or of a folder that Backup made: the file's integrity,
// totals against jobs, results and inputs against the files that they name. Changes nothing, and
// may look while a server goes on: it reads one snapshot, and a file that is missing is a fault
// only if a job still owns it.
Findings CheckStore(const std::string& folder);

}  // namespace cogwheel
