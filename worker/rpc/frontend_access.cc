#include "worker/rpc/frontend_access.h"

#include "base/secret.h"

namespace cogwheel {

absl::StatusOr<FrontendAccess> OpenFrontendAccess(const FrontendKeys& keys) {
  FrontendAccess access;
  if (!keys.token_file.empty()) {
    absl::StatusOr<std::string> token = ReadSecret(keys.token_file);
    if (!token.ok()) return token.status();
    access.token = *std::move(token);
  }
  if (keys.tls_ca.empty()) return access;
  grpc::SslCredentialsOptions options;
  for (const auto& [file, text] : {std::pair(&keys.tls_ca, &options.pem_root_certs),
                                   std::pair(&keys.tls_certificate, &options.pem_cert_chain),
                                   std::pair(&keys.tls_key, &options.pem_private_key)}) {
    if (file->empty()) continue;
    absl::StatusOr<std::string> pem = ReadPem(*file);
    if (!pem.ok()) return pem.status();
    *text = *std::move(pem);
  }
  access.channel = grpc::SslCredentials(options);
  return access;
}

}  // namespace cogwheel
