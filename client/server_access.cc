#include "client/server_access.h"

#include <absl/strings/str_cat.h>

#include "base/secret.h"

namespace cogwheel {
namespace {

absl::Status ReadInto(const char* flag, const std::string& file, std::string& text) {
  if (file.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> pem = ReadPem(file);
  if (!pem.ok())
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", pem.status().message()));
  text = *std::move(pem);
  return absl::OkStatus();
}

}  // namespace

void ServerAccess::Authorize(grpc::ClientContext& context) const {
  if (!token.empty()) context.AddMetadata("authorization", absl::StrCat("bearer ", token));
}

absl::StatusOr<ServerAccess> OpenAccess(const AccessFlags& flags) {
  ServerAccess access;
  if (!flags.token_file.empty()) {
    const absl::StatusOr<std::string> token = ReadSecret(flags.token_file);
    if (!token.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--token-file: ", token.status().message()));
    }
    access.token = *token;
  }
  if (flags.tls_certificate.empty() != flags.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-certificate and --tls-key are given together or not at all");
  }
  if (flags.tls_ca.empty()) {
    if (flags.tls_certificate.empty()) return access;
    return absl::InvalidArgumentError("--tls-certificate needs --tls-ca");
  }
  grpc::SslCredentialsOptions options;
  const absl::Status read[] = {
      ReadInto("--tls-ca", flags.tls_ca, options.pem_root_certs),
      ReadInto("--tls-certificate", flags.tls_certificate, options.pem_cert_chain),
      ReadInto("--tls-key", flags.tls_key, options.pem_private_key)};
  for (const absl::Status& status : read) {
    if (!status.ok()) return status;
  }
  access.channel = grpc::SslCredentials(options);
  return access;
}

}  // namespace cogwheel
