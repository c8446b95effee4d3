#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

// Blocking TCP set-up between ranks, before the I/O thread takes the sockets over. Throws
// CommError.
namespace cogwheel {

using Deadline = std::chrono::steady_clock::time_point;

// Owns a file descriptor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Retries until the peer listens or the deadline passes.
Socket ConnectTo(const std::string& address, Deadline deadline);
// A connection that waits on a listening socket; invalid when there is none.
Socket AcceptFrom(int listen_fd);

// Milliseconds left, for poll: 0 when the deadline has passed.
int MillisecondsTo(Deadline deadline);

// Both return false when the peer closed, failed or was too slow.
bool SendAll(const Socket& socket, std::span<const std::byte> data, Deadline deadline);
bool RecvAll(const Socket& socket, std::span<std::byte> data, Deadline deadline);

}  // namespace cogwheel
