#include "server/api/grpc_server.h"

#include <cstdlib>

#include <arpa/inet.h>

#include <absl/strings/str_cat.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "base/listening.h"
#include "cogwheel/internal/v1/rank_control.grpc.pb.h"
#include "cogwheel/v1/operate_service.grpc.pb.h"
#include "cogwheel/v1/video_service.grpc.pb.h"
#include "proto/contract/validate.h"
#include "server/api/receive_guard.h"
#include "server/api/reflection_service.h"

namespace cogwheel {
namespace {

constexpr int kKeepaliveMs = 60'000, kKeepaliveTimeoutMs = 20'000;
// Between pings of a peer, with or without calls: many libraries and proxies ping every 10 s. More
// often, more than twice, is answered by GOAWAY.
constexpr int kShortestPingIntervalMs = 5'000;
constexpr int kMaxStreams = 256;  // of one connection

constexpr int64_t kOwnBytes = 256 << 20;  // that the program may take besides requests that arrive

int PortOf(const std::string& address) {
  return std::atoi(address.substr(address.rfind(':') + 1).c_str());
}
std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

// Sets `address` to the port in use.
absl::StatusOr<std::unique_ptr<grpc::Server>> Listen(const char* flag, std::string& address,
                                                     const TlsFiles& files,
                                                     const std::vector<grpc::Service*>& services) {
  const auto credentials = MakeServerCredentials(files);
  if (!credentials.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("TLS of ", flag, ": ", credentials.status().message()));
  }
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, *credentials, &port);
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // two servers never share a port
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kShortestPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    const absl::Status why = CheckCanListen({flag, address, "", ""});
    if (!why.ok()) return why;
    return absl::UnavailableError(absl::StrCat(flag, " ", address, ": cannot listen there"));
  }
  address = absl::StrCat(HostOf(address), ":", port);
  return server;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const Addresses& addresses,
                                                              const Credentials& credentials,
                                                              const Limits& limits,
                                                              const Services& services) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<GrpcServer> started(new GrpcServer());
  started->addresses_ = addresses;
  std::string& listen = started->addresses_.listen;
  const bool one_port = addresses.listen == addresses.internal;
  std::vector<std::string> names = {v1::VideoService::service_full_name(),
                                    v1::OperateService::service_full_name()};
  if (one_port) names.emplace_back(internal::v1::RankControl::service_full_name());
  started->public_reflection_ = std::make_unique<ReflectionService>(names);
  std::vector<grpc::Service*> listening = {&services.video, &services.operate,
                                           started->public_reflection_.get()};
  if (one_port) listening.push_back(&services.rank_control);
  auto server = Listen("--listen", listen, credentials.listen, listening);
  if (!server.ok()) return server.status();
  started->public_server_ = *std::move(server);
  // Not where ranks come too: they send most, and one that is cut takes its group with it. Such a
  // port is for this machine alone.
  if (!one_port) {
    started->guard_ = std::make_unique<ReceiveGuard>(
        ReceiveGuard::Parts{PortOf(listen), limits.receive_memory_bytes + kOwnBytes});
  }
  started->health()->SetServingStatus(false);  // until somebody says otherwise
  if (one_port) {
    started->addresses_.internal = listen;
    return started;
  }
  started->internal_reflection_ = std::make_unique<ReflectionService>(
      std::vector<std::string>{internal::v1::RankControl::service_full_name()});
  auto internal = Listen("--internal-listen", started->addresses_.internal, credentials.internal,
                         {&services.rank_control, started->internal_reflection_.get()});
  if (!internal.ok()) return internal.status();
  started->internal_server_ = *std::move(internal);
  return started;
}

GrpcServer::~GrpcServer() { Shutdown(std::chrono::milliseconds(0)); }

grpc::HealthCheckServiceInterface* GrpcServer::health() const {
  return public_server_->GetHealthCheckService();
}

void GrpcServer::Shutdown(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::system_clock::now() + limit;
  for (const auto& server : {&public_server_, &internal_server_}) {
    if (*server != nullptr) (*server)->Shutdown(deadline);
  }
}

bool IsLoopback(const std::string& address) {
  const std::string host = HostOf(address);
  in_addr v4 = {};  // a name may begin with 127. too
  return (inet_pton(AF_INET, host.c_str(), &v4) == 1 && host.starts_with("127.")) ||
         host == "localhost" || host == "[::1]";
}

}  // namespace cogwheel
