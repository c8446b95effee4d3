#pragma once

#include <chrono>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/server_context.h>

#include "server/api/api_parts.h"

namespace cogwheel {

// One RPC: admitted, counted and timed. Copies stand for the same call; End is called once.
class RpcCall {
 public:
  RpcCall(const char* method, grpc::ServerContextBase& context, const ApiParts& parts);

  const char* method() const { return method_; }
  // The caller's, or why it may not call: its credentials, or that it calls too often.
  const absl::StatusOr<std::string>& tenant() const { return tenant_; }
  // The status that it ends with: tells clients when to try again (grpc-retry-pushback-ms), and
  // gives an INTERNAL without a reason an id that the log has too.
  grpc::Status End(const absl::Status& status) const;

 private:
  const char* method_;
  grpc::ServerContextBase* context_;
  const Clock* clock_;
  ServerMetrics* metrics_;
  std::chrono::steady_clock::time_point start_;
  absl::StatusOr<std::string> tenant_;
};

// Of the caller's `traceparent` (W3C Trace Context); empty if there is none or it is not legal.
std::string TraceIdOf(const grpc::ServerContextBase& context);

}  // namespace cogwheel
