#include "client/version.h"

#include <absl/base/config.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>
#include <openssl/crypto.h>
#include <zlib.h>
#include <nlohmann/json.hpp>

#include "base/build_info.h"

namespace cogwheel {

std::string VersionText() {
  const std::string protobuf = google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
  return absl::StrCat(BuildText("cogwheel"), "\ngRPC ", grpc::Version(), "\nprotobuf ", protobuf,
                      "\nabseil ", ABSL_LTS_RELEASE_VERSION, ".", ABSL_LTS_RELEASE_PATCH_LEVEL,
                      "\nnlohmann-json ", NLOHMANN_JSON_VERSION_MAJOR, ".",
                      NLOHMANN_JSON_VERSION_MINOR, ".", NLOHMANN_JSON_VERSION_PATCH, "\n",
                      OpenSSL_version(OPENSSL_VERSION), "\nzlib ", zlibVersion());
}

}  // namespace cogwheel
