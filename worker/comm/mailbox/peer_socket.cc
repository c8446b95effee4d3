#include "worker/comm/mailbox/peer_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/socket_communicator.h"

namespace cogwheel {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

AddressList Resolve(const std::string& address, bool passive) {
  const HostPort parts = SplitAddress(address);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = passive ? AI_PASSIVE : 0;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &list);
  if (error != 0) {
    throw CommError("cannot resolve peer address '" + address + "': " + gai_strerror(error));
  }
  return {list, &freeaddrinfo};
}

// Waits for `events`; false when the deadline passed.
bool WaitReady(int fd, short events, Deadline deadline) {
  pollfd entry = {.fd = fd, .events = events, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&entry, 1, MillisecondsTo(deadline));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

void SendAtOnce(const Socket& socket) {
  const int on = 1;
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// One attempt at one address; invalid when refused.
Socket TryConnect(const addrinfo& info, Deadline deadline) {
  Socket socket(::socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return {};
  if (connect(socket.fd(), info.ai_addr, info.ai_addrlen) != 0) {
    if (errno != EINPROGRESS || !WaitReady(socket.fd(), POLLOUT, deadline)) return {};
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) {
      return {};
    }
  }
  SendAtOnce(socket);
  return socket;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}
Socket::Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
int Socket::Release() { return std::exchange(fd_, -1); }

HostPort SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    throw CommError("peer address '" + address + "' has no port");
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return {.host = host, .port = address.substr(colon + 1)};
}

Socket ConnectTo(const std::string& address, Deadline deadline) {
  const AddressList list = Resolve(address, /*passive=*/false);
  while (std::chrono::steady_clock::now() < deadline) {
    for (const addrinfo* info = list.get(); info != nullptr; info = info->ai_next) {
      Socket socket = TryConnect(*info, deadline);
      if (socket.valid()) return socket;
    }
    poll(nullptr, 0, /*timeout_ms=*/20);
  }
  throw CommError("cannot connect to the rank at " + address + " within the time limit");
}

Socket AcceptFrom(int listen_fd) {
  Socket socket(accept4(listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.valid()) SendAtOnce(socket);
  return socket;
}

int MillisecondsTo(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1'000'000));
}

bool SendAll(const Socket& socket, std::span<const std::byte> data, Deadline deadline) {
  while (!data.empty()) {
    const ssize_t sent = send(socket.fd(), data.data(), data.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      data = data.subspan(sent);
    } else if (errno != EAGAIN && errno != EINTR) {
      return false;
    } else if (!WaitReady(socket.fd(), POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

bool RecvAll(const Socket& socket, std::span<std::byte> data, Deadline deadline) {
  while (!data.empty()) {
    const ssize_t got = recv(socket.fd(), data.data(), data.size(), 0);
    if (got > 0) {
      data = data.subspan(got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      return false;
    } else if (!WaitReady(socket.fd(), POLLIN, deadline)) {
      return false;
    }
  }
  return true;
}

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
  fd_ = socket.Release();
}

PeerListener::~PeerListener() {
  if (fd_ >= 0) close(fd_);
}
PeerListener::PeerListener(PeerListener&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), address_(std::move(other.address_)) {}
PeerListener& PeerListener::operator=(PeerListener&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(address_, other.address_);
  return *this;
}

}  // namespace cogwheel
