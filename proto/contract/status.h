#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

// Errors with a reason, and the only conversion between absl::Status and grpc::Status. google.rpc
// details (ErrorInfo, BadRequest, RetryInfo) travel as payloads of the absl::Status.
namespace cogwheel {

// A field of a request that is not legal.
struct FieldViolation {
  std::string field;        // GenerateRequest's field name: "height"
  std::string description;  // "height 478 is not a multiple of 16; the nearest legal value is 480"
};

// A status with ErrorInfo{domain "cogwheel", reason}.
absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message);
// INVALID_ARGUMENT with BadRequest; the message is the first violation's description. `violations`
// is not empty.
absl::Status MakeInvalidArgument(std::string_view reason,
                                 const std::vector<FieldViolation>& violations);
// Adds RetryInfo.
absl::Status WithRetryAfter(absl::Status status, std::chrono::milliseconds delay);

std::string ErrorReason(const absl::Status& status);  // "" when there is none
// For people and logs: "the server has shut down (reason DRAINING)". Never a payload's bytes.
std::string InWords(const absl::Status& status);
std::optional<std::chrono::milliseconds> RetryAfter(const absl::Status& status);

grpc::Status ToGrpc(const absl::Status& status);
// A status without details is gRPC's own: its message becomes ConnectionWords.
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace cogwheel
