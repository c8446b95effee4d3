#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "server/api/tls.h"

namespace grpc {
class HealthCheckServiceInterface;
class Server;
class Service;
}  // namespace grpc

namespace cogwheel {

class ReceiveGuard;
class ReflectionService;

inline constexpr int kMaxMetadataBytes = 16 * 1024;  // of one call

// Listens for clients and for ranks: on one port, or on two when the addresses differ. Serves
// health and reflection beside the public API.
class GrpcServer {
 public:
  struct Addresses {
    std::string listen;    // HOST:PORT; port 0 is chosen by the system
    std::string internal;  // the same text: the same port
  };
  struct Limits {
    int64_t receive_memory_bytes;  // of the clients' port
  };
  struct Credentials {
    TlsFiles listen, internal;  // one port has `listen`'s
  };
  struct Services {
    grpc::Service& video;         // for clients
    grpc::Service& operate;       // beside it
    grpc::Service& rank_control;  // for ranks
  };
  // UNAVAILABLE when it cannot listen, INVALID_ARGUMENT for credentials that cannot be used.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const Addresses& addresses,
                                                           const Credentials& credentials,
                                                           const Limits& limits,
                                                           const Services& services);
  ~GrpcServer();

  // With the ports in use.
  const Addresses& addresses() const { return addresses_; }
  grpc::HealthCheckServiceInterface* health() const;
  // Takes no new calls; ends those still open after `limit`. Returns once none is left.
  void Shutdown(std::chrono::milliseconds limit);

 private:
  GrpcServer() = default;
  Addresses addresses_;
  std::unique_ptr<ReflectionService> public_reflection_, internal_reflection_;
  std::unique_ptr<grpc::Server> public_server_;
  std::unique_ptr<ReceiveGuard> guard_;
  std::unique_ptr<grpc::Server> internal_server_;  // null: one port for both
};

// False for addresses that other machines can reach.
bool IsLoopback(const std::string& address);

}  // namespace cogwheel
