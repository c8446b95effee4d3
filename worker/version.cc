#include "worker/version.h"

#include <absl/base/config.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>
#include <openssl/crypto.h>
#include <nlohmann/json.hpp>

#include "base/build_info.h"
#include "worker/device/cpu_threads.h"
#include "worker/media/ffmpeg_version.h"
#include "worker/media/image_formats.h"

namespace cogwheel {

std::string VersionText() {
  const std::string protobuf = google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
  return absl::StrCat(BuildText("cogwheel-worker"), "\ntorch ", TorchVersion(), "\nFFmpeg ",
                      FfmpegVersion(), "\n", ImageLibraryVersions(), "\ngRPC ", grpc::Version(),
                      "\nprotobuf ", protobuf, "\nabseil ", ABSL_LTS_RELEASE_VERSION, ".",
                      ABSL_LTS_RELEASE_PATCH_LEVEL, "\nnlohmann-json ", NLOHMANN_JSON_VERSION_MAJOR,
                      ".", NLOHMANN_JSON_VERSION_MINOR, ".", NLOHMANN_JSON_VERSION_PATCH, "\n",
                      OpenSSL_version(OPENSSL_VERSION));
}

}  // namespace cogwheel
