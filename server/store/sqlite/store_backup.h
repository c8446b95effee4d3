#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/operate_store.h"

namespace cogwheel {

// As OperateStore::BackUp: <folder>/<name>/cogwheel.sqlite, for its owner's eyes alone. It is
// copied from a snapshot on a connection of its own, so it holds up no write; what is written
// meanwhile stays in the log until it is done. A crash leaves <folder>/.<name>.partial, which the
// next backup of that name removes.
absl::StatusOr<BackupMade> BackUpDatabase(const std::string& database,
                                          const std::filesystem::path& folder,
                                          const std::string& name);

// UNAVAILABLE (BACKUP).
absl::Status BackupError(std::string_view why);

}  // namespace cogwheel
