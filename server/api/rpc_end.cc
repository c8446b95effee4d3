#include "server/api/rpc_end.h"

#include <random>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "proto/contract/log.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

absl::Status WithLogId(const char* method, const absl::Status& status) {
  std::random_device random;
  const std::string id = absl::StrFormat("%08x%08x", random(), random());
  Log(LogLevel::kError, "internal error",
      {{"id", id}, {"method", method}, {"error", std::string(status.message())}});
  return MakeError(status.code(), "INTERNAL",
                   absl::StrCat("internal error ", id, "; the server's log has more"));
}

}  // namespace

grpc::Status EndRpc(const char* method, const absl::Status& status,
                    grpc::ServerContextBase& context, ServerMetrics& metrics) {
  const bool unexplained = absl::IsInternal(status) && ErrorReason(status).empty();
  const absl::Status told = unexplained ? WithLogId(method, status) : status;
  metrics.api_rpcs_handled_total.Increment({method, absl::StatusCodeToString(told.code())});
  const auto retry = RetryAfter(told);
  if (retry.has_value()) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(retry->count()));
  }
  return ToGrpc(told);
}

}  // namespace cogwheel
