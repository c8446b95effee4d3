#pragma once

#include <string>

#include "worker/comm/mailbox/peer_socket.h"

namespace cogwheel {

// Listens for the other ranks of one host or several. Made before the rank says Hello, so that its
// address is known. Move-only.
class PeerListener {
 public:
  // Binds HOST:0. Throws CommError.
  explicit PeerListener(const std::string& host);

  const std::string& address() const { return address_; }  // HOST:PORT
  int fd() const { return socket_.fd(); }

 private:
  Socket socket_;
  std::string address_;
};

}  // namespace cogwheel
