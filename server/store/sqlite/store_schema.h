#pragma once

#include <string>

#include <absl/status/status.h>

#include "server/store/sqlite/sqlite.h"

namespace cogwheel {

// Checks the file's integrity and brings its tables up to this program's version, in one
// transaction; of an older file a copy is left beside it, `path`.before-N, where N counts the
// changes of the schema up to this program. FAILED_PRECONDITION naming the file when it is damaged
// or of a newer program.
absl::Status PrepareSchema(Connection& connection, const std::string& path);

}  // namespace cogwheel
