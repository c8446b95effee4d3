#include "worker/comm/mailbox/peer_listener.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/peer_address.h"

namespace cogwheel {

PeerListener::PeerListener(const std::string& host) {
  const bool v6 = host.find(':') != std::string::npos;
  const std::string shown = v6 ? "[" + host + "]" : host;
  const AddressList list = Resolve(shown + ":0", /*passive=*/true);
  Socket socket(::socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid() || bind(socket.fd(), list->ai_addr, list->ai_addrlen) != 0 ||
      listen(socket.fd(), /*backlog=*/64) != 0) {
    throw CommError("cannot listen for peers on " + host + ": " + std::strerror(errno));
  }
  sockaddr_storage bound = {};
  socklen_t length = sizeof(bound);
  getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&bound), &length);
  const in_port_t port = bound.ss_family == AF_INET6
                             ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                             : reinterpret_cast<sockaddr_in*>(&bound)->sin_port;
  address_ = shown + ":" + std::to_string(ntohs(port));
  socket_ = std::move(socket);
}

}  // namespace cogwheel
