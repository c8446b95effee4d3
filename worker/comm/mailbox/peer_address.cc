#include "worker/comm/mailbox/peer_address.h"

#include <sys/socket.h>

#include "worker/comm/communicator.h"

namespace cogwheel {

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

}  // namespace cogwheel
