#pragma once

#include <string>

#include <absl/status/status.h>

// Errors of what keeps jobs, inputs and results. Callers read whose fault it is and nothing of the
// server's inside; where, and what the system said, is for the log.
namespace cogwheel {

enum class StoreFault {
  kFull,     // RESOURCE_EXHAUSTED (STORE_FULL): until there is room
  kFailed,   // UNAVAILABLE (STORE): it may pass
  kRefused,  // INTERNAL (STORE_REFUSED): this change will never be taken
};

absl::Status StoreError(StoreFault fault, const std::string& detail);
// For the log and for who starts the server: the detail, else the message.
std::string StoreDetail(const absl::Status& status);

}  // namespace cogwheel
