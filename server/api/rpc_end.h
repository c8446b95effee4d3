#pragma once

#include <absl/status/status.h>
#include <grpcpp/server_context.h>

#include "server/metrics/server_metrics.h"

namespace cogwheel {

// The status that an RPC ends with: counts it, tells clients when to try again
// (grpc-retry-pushback-ms), and gives an INTERNAL without a reason an id that the log has too.
grpc::Status EndRpc(const char* method, const absl::Status& status,
                    grpc::ServerContextBase& context, ServerMetrics& metrics);

}  // namespace cogwheel
