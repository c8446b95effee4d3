#include "client/health_check.h"

#include <array>
#include <vector>

#include <absl/strings/str_cat.h>
#include <grpcpp/support/byte_buffer.h>

#include "proto/contract/health_call.h"

namespace cogwheel {
namespace {

// HealthCheckResponse: field 1, varint `status`; absent = 0.
absl::StatusOr<std::string> ParseResponse(const grpc::ByteBuffer& response) {
  constexpr std::array kNames = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  constexpr uint8_t kStatusTag = 1 << 3;
  grpc::Slice slice;
  if (!response.DumpToSingleSlice(&slice).ok()) return absl::InternalError("empty health answer");
  if (slice.size() == 0) return kNames[0];
  if (slice.size() == 2 && slice.begin()[0] == kStatusTag && slice.begin()[1] < kNames.size()) {
    return kNames[slice.begin()[1]];
  }
  return absl::InternalError(absl::StrCat("health answer of ", slice.size(), " unknown bytes"));
}

}  // namespace

absl::StatusOr<std::string> CheckHealth(const std::shared_ptr<grpc::Channel>& channel,
                                        std::chrono::milliseconds limit) {
  const absl::StatusOr<grpc::ByteBuffer> response = CallHealth(channel, limit);
  if (!response.ok()) return response.status();
  return ParseResponse(*response);
}

}  // namespace cogwheel
