#include "server/version.h"

#include <absl/base/config.h>
#include <absl/strings/str_cat.h>
#include <civetweb.h>
#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <zlib.h>
#include <nlohmann/json.hpp>

#include "base/build_info.h"

namespace cogwheel {

std::string ServerVersionText() {
  const std::string protobuf = google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
  return absl::StrCat(BuildText("cogwheel-server"), "\ngRPC ", grpc::Version(), "\nprotobuf ",
                      protobuf, "\nabseil ", ABSL_LTS_RELEASE_VERSION, ".",
                      ABSL_LTS_RELEASE_PATCH_LEVEL, "\ncivetweb ", mg_version(), "\nnlohmann-json ",
                      NLOHMANN_JSON_VERSION_MAJOR, ".", NLOHMANN_JSON_VERSION_MINOR, ".",
                      NLOHMANN_JSON_VERSION_PATCH, "\nSQLite ", sqlite3_libversion(), "\n",
                      OpenSSL_version(OPENSSL_VERSION), "\nzlib ", zlibVersion());
}

}  // namespace cogwheel
