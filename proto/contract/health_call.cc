#include "proto/contract/health_call.h"

#include <future>
#include <string>
#include <utility>

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include "proto/contract/status.h"

namespace cogwheel {

absl::StatusOr<grpc::ByteBuffer> CallHealth(const std::shared_ptr<grpc::Channel>& channel,
                                            std::chrono::milliseconds limit) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + limit);
  grpc::GenericStub stub(channel);
  const grpc::Slice nothing(std::string{});  // HealthCheckRequest without a service
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  const grpc::Status status = done.get_future().get();  // the deadline bounds it
  if (!status.ok()) return FromGrpc(status);
  return response;
}

}  // namespace cogwheel
