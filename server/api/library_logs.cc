#include "server/api/library_logs.h"

#include <string>

#include <absl/strings/str_cat.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include "base/log.h"

namespace cogwheel {
namespace {

// These libraries call errors what a peer did wrong: a warning for us.
void OnGrpcLine(gpr_log_func_args* line) {
  if (line->severity != GPR_LOG_SEVERITY_ERROR) return;
  Log(LogLevel::kWarning, line->message,
      {{"library", "grpc"}, {"at", absl::StrCat(line->file, ":", line->line)}});
}

void OnProtobufLine(google::protobuf::LogLevel level, const char* file, int line,
                    const std::string& message) {
  if (level < google::protobuf::LOGLEVEL_ERROR) return;
  Log(LogLevel::kWarning, message,
      {{"library", "protobuf"}, {"at", absl::StrCat(file, ":", line)}});
}

}  // namespace

void TakeLibraryLogs() {
  gpr_set_log_function(OnGrpcLine);
  google::protobuf::SetLogHandler(OnProtobufLine);
}

}  // namespace cogwheel
