#pragma once

#include <chrono>
#include <memory>

#include <absl/status/statusor.h>
#include <grpcpp/channel.h>
#include <grpcpp/support/byte_buffer.h>

namespace cogwheel {

// Asks grpc.health.v1.Health about the whole server: its HealthCheckResponse, or why there is none.
// Blocks until then, at most for `limit`.
absl::StatusOr<grpc::ByteBuffer> CallHealth(const std::shared_ptr<grpc::Channel>& channel,
                                            std::chrono::milliseconds limit);

}  // namespace cogwheel
