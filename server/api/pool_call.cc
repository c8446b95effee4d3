#include "server/api/pool_call.h"

#include "proto/contract/status.h"

namespace cogwheel {

absl::Status Busy() {
  constexpr std::chrono::milliseconds kRetry{1000};
  return WithRetryAfter(MakeError(absl::StatusCode::kResourceExhausted, "BUSY",
                                  "too many calls wait for the server's store"),
                        kRetry);
}

}  // namespace cogwheel
