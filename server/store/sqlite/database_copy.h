#pragma once

#include <string>

#include <absl/status/status.h>

#include "server/store/sqlite/sqlite.h"

namespace cogwheel {

// Copies the database, as one moment of it, into a file of its own that only this user may read:
// whole and synced under `path`, or not there. Writers go on meanwhile.
absl::Status CopyDatabase(Connection& connection, const std::string& path);

}  // namespace cogwheel
