#include "worker/comm/mailbox/peer_socket.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/peer_address.h"

namespace cogwheel {
namespace {

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

}  // namespace cogwheel
