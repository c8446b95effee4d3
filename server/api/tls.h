#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/security/server_credentials.h>

namespace cogwheel {

// PEM files. All but the revocation lists are read again when they change: a certificate can be
// renewed under a running server.
struct TlsFiles {
  std::string certificate;  // chain, own first; empty = plaintext
  std::string key;
  std::string client_ca;    // callers must show a certificate of it; empty = they need none
  std::string client_crls;  // folder of its revocation lists, named as `openssl rehash` does
};

// INVALID_ARGUMENT names the file that cannot be used.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files);

// When the certificate ends. INVALID_ARGUMENT for a file that holds none.
absl::StatusOr<std::chrono::system_clock::time_point> CertificateExpiry(const std::string& file);

}  // namespace cogwheel
