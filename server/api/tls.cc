#include "server/api/tls.h"

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <system_error>

#include <absl/strings/str_cat.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace cogwheel {
namespace {

constexpr unsigned int kRefreshSeconds = 5;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

template <typename Owner, typename Read>
absl::StatusOr<Owner> ReadPem(const std::string& path, const char* what, Read read) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  Owner owner(file == nullptr ? nullptr : read(file.get(), nullptr, nullptr, nullptr));
  if (owner == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("file ", path, " holds no PEM ", what));
  }
  return owner;
}

absl::Status CheckFiles(const TlsFiles& files) {
  const auto certificate = ReadPem<Certificate>(files.certificate, "certificate", PEM_read_X509);
  if (!certificate.ok()) return certificate.status();
  const auto key = ReadPem<Key>(files.key, "private key", PEM_read_PrivateKey);
  if (!key.ok()) return key.status();
  if (X509_check_private_key(certificate->get(), key->get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("key ", files.key, " is not that of certificate ", files.certificate));
  }
  std::error_code error;
  if (!files.client_crls.empty() && !std::filesystem::is_directory(files.client_crls, error)) {
    return absl::InvalidArgumentError(absl::StrCat(files.client_crls, " is no folder"));
  }
  if (files.client_ca.empty()) return absl::OkStatus();
  return ReadPem<Certificate>(files.client_ca, "certificate", PEM_read_X509).status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files) {
  if (files.certificate.empty()) return grpc::InsecureServerCredentials();
  const absl::Status usable = CheckFiles(files);
  if (!usable.ok()) return usable;
  namespace tls = grpc::experimental;
  const bool mutual = !files.client_ca.empty();
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.client_ca, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (mutual) options.watch_root_certs();
  if (!files.client_crls.empty()) options.set_crl_directory(files.client_crls);
  options.set_cert_request_type(mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return tls::TlsServerCredentials(options);
}

absl::StatusOr<std::chrono::system_clock::time_point> CertificateExpiry(const std::string& file) {
  const auto certificate = ReadPem<Certificate>(file, "certificate", PEM_read_X509);
  if (!certificate.ok()) return certificate.status();
  std::tm end = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate->get()), &end) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("file ", file, " has no readable end"));
  }
  return std::chrono::system_clock::from_time_t(timegm(&end));
}

}  // namespace cogwheel
