#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>

#include "client/arguments.h"

namespace cogwheel {

// How a server is spoken to: encrypted or not, and with which token.
struct ServerAccess {
  std::shared_ptr<grpc::ChannelCredentials> channel = grpc::InsecureChannelCredentials();
  std::string token;  // empty = none

  void Authorize(grpc::ClientContext& context) const;
};

// INVALID_ARGUMENT names the file that cannot be read.
absl::StatusOr<ServerAccess> OpenAccess(const AccessFlags& flags);

}  // namespace cogwheel
