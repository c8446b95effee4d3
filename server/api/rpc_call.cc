#include "server/api/rpc_call.h"

#include <algorithm>
#include <random>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "base/log.h"
#include "proto/contract/status.h"
#include "server/api/grpc_server.h"

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

// gRPC 1.51 holds its own limit against each frame alone, not against all of a call's.
absl::Status CheckMetadata(const grpc::ServerContextBase& context) {
  size_t bytes = 0;
  for (const auto& [key, value] : context.client_metadata()) bytes += key.size() + value.size();
  if (bytes <= kMaxMetadataBytes) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kResourceExhausted, "METADATA_SIZE",
      absl::StrCat("the call has ", bytes, " bytes of metadata; the limit is ", kMaxMetadataBytes));
}

// The tenant, when a token proves it; else everybody on a host is one caller.
absl::StatusOr<std::string> Admit(const char* method, const grpc::ServerContextBase& context,
                                  const ApiParts& parts) {
  const absl::Status metadata = CheckMetadata(context);
  const absl::StatusOr<std::string> tenant =
      metadata.ok() ? parts.access.Check(context, method) : metadata;
  const bool proven = tenant.ok() && !parts.access.open();
  const absl::Status rate = proven ? parts.limiter.TakeOfTenant(*tenant)
                                   : parts.limiter.TakeOfHost(HostOfPeer(context.peer()));
  if (rate.ok()) return tenant;
  parts.metrics.api_calls_throttled_total.Increment({proven ? *tenant : "other"});
  return rate;
}

}  // namespace

RpcCall::RpcCall(const char* method, grpc::ServerContextBase& context, const ApiParts& parts)
    : method_(method),
      context_(&context),
      clock_(&parts.clock),
      metrics_(&parts.metrics),
      start_(parts.clock.Now()),
      tenant_(Admit(method, context, parts)) {
  metrics_->api_rpcs_started_total.Increment({method_});
}

std::string TraceIdOf(const grpc::ServerContextBase& context) {
  constexpr size_t kLength = 55, kIdBegin = 3, kIdLength = 32;  // 00-<trace id>-<span id>-<flags>
  const auto found = context.client_metadata().find("traceparent");
  if (found == context.client_metadata().end() || found->second.size() != kLength) return "";
  const std::string id(found->second.data() + kIdBegin, kIdLength);
  return std::all_of(id.begin(), id.end(), absl::ascii_isxdigit) ? id : "";
}

grpc::Status RpcCall::End(const absl::Status& status) const {
  const bool unexplained = absl::IsInternal(status) && ErrorReason(status).empty();
  const absl::Status told = unexplained ? WithLogId(method_, status) : status;
  metrics_->api_rpcs_handled_total.Increment({method_, absl::StatusCodeToString(told.code())});
  const std::chrono::duration<double> took = clock_->Now() - start_;
  metrics_->api_rpc_duration_seconds.Observe(took.count(), {method_});
  const auto retry = RetryAfter(told);
  if (retry.has_value()) {
    context_->AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(retry->count()));
  }
  return ToGrpc(told);
}

}  // namespace cogwheel
