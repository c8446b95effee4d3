#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/channel.h>

namespace cogwheel {

// Asks grpc.health.v1.Health about the whole server: UNKNOWN, SERVING, NOT_SERVING or
// SERVICE_UNKNOWN. The two messages of that protocol hold one field each and are written by hand.
absl::StatusOr<std::string> CheckHealth(const std::shared_ptr<grpc::Channel>& channel,
                                        std::chrono::milliseconds limit);

}  // namespace cogwheel
