#include "server/job/fault.h"

#include <string>

#include "proto/contract/status.h"

namespace cogwheel {

bool IsStoreFault(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  return reason == "STORE" || reason == "STORE_FULL";
}

JobError StoreFaultForClients(const absl::Status& status) {
  if (ErrorReason(status) == "STORE_FULL") {
    return {absl::StatusCode::kUnavailable, "STORE_FULL", "the server's disk is full"};
  }
  return {absl::StatusCode::kUnavailable, "STORE", "the server's store does not take writes now"};
}

}  // namespace cogwheel
