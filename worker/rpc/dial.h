#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/channel.h>

#include "worker/rpc/frontend_access.h"

namespace cogwheel {

struct DialOptions {
  std::string frontend;  // HOST:PORT
  std::chrono::milliseconds limit{15'000};
  std::function<bool()> stop_requested;  // asked a few times a second
  // Once, as soon as it is known that the frontend does not answer at once.
  std::function<void(const std::string& why)> on_waiting = [](const std::string&) {};
};

// Dials again and again until the frontend answers; UNAVAILABLE after the limit, with the last
// reason; CANCELLED when asked to stop.
absl::StatusOr<std::shared_ptr<grpc::Channel>> DialFrontend(const DialOptions& options,
                                                            const FrontendAccess& access);

}  // namespace cogwheel
