#pragma once

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include "client/server_access.h"

namespace cogwheel {

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address, const ServerAccess& access);

// An error with the server's address where the server itself did not speak.
absl::Status DescribeFailure(const std::string& address, const grpc::Status& status);

}  // namespace cogwheel
