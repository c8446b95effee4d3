#pragma once

#include <functional>
#include <string>
#include <utility>

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/api/api_parts.h"
#include "server/api/raw_request.h"
#include "server/api/rpc_call.h"
#include "server/job/answer.h"

// Unary calls: where they are served, and what all of them share.
namespace cogwheel {

inline constexpr size_t kSmallBytes = 64 * 1024;

// RESOURCE_EXHAUSTED (BUSY): too many calls of the tenant wait for the store.
absl::Status Busy();

struct UnaryCall {
  const char* method;
  grpc::CallbackServerContext* context;
  const grpc::ByteBuffer* request;
  grpc::ByteBuffer* response;
};
enum class Where {
  kPool,  // in the tenant's line: may wait for a disk or a database
  kHere,  // on gRPC's thread: must not wait; a large request is read on the pool all the same
};

// Admits the call and hands tenant, request and the way to answer to `handle`, which answers once,
// from any thread.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* Serve(
    const UnaryCall& unary, const ApiParts& parts, Where where,
    std::function<void(const std::string& tenant, const Request& request, Answer<Response>)>
        handle) {
  const RpcCall call(unary.method, *unary.context, parts);
  grpc::ServerUnaryReactor* reactor = unary.context->DefaultReactor();
  const Answer<Response> answer =
      [call, reactor, response = unary.response](const absl::StatusOr<Response>& answered) {
        if (answered.ok()) *response = ToBytes(answered->SerializeAsString());
        reactor->Finish(call.End(answered.status()));
      };
  grpc::ByteBuffer request_bytes = TakeRequest(unary.request);
  const bool here = where == Where::kHere && request_bytes.Length() <= kSmallBytes;
  auto serve = [tenant = call.tenant(), bytes = std::move(request_bytes), answer,
                handle = std::move(handle)]() mutable {
    Request request;
    const absl::Status parsed = ParseRequest(std::exchange(bytes, {}), request);
    if (!parsed.ok()) return answer(parsed);
    handle(*tenant, request, answer);
  };
  if (!call.tenant().ok()) {
    answer(call.tenant().status());
  } else if (here) {
    serve();
  } else if (!parts.io.TryPost(*call.tenant(), serve)) {
    answer(Busy());
  }
  return reactor;
}

}  // namespace cogwheel
