#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/security/credentials.h>

namespace cogwheel {

// What a rank needs to be let in by a frontend that is not open to all: files.
struct FrontendKeys {
  std::string tls_ca;                    // empty = plaintext
  std::string tls_certificate, tls_key;  // for frontends that ask for one
  std::string token_file;
};

// Those files, read. A rank dials once in its life, so renewed files count from its next start.
struct FrontendAccess {
  std::shared_ptr<grpc::ChannelCredentials> channel = grpc::InsecureChannelCredentials();
  std::string token;  // empty = none
};

// INVALID_ARGUMENT names the file that cannot be read.
absl::StatusOr<FrontendAccess> OpenFrontendAccess(const FrontendKeys& keys);

}  // namespace cogwheel
